foreach(parser yaml target host address gitpkt policy)
  saw_fuzz(NAME ${parser} DEPS policy)
endforeach()
