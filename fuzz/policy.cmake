foreach(parser yaml target host address gitpkt graphql jsonrpc registry policy)
  saw_fuzz(NAME ${parser} DEPS policy)
endforeach()
