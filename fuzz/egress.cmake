foreach(parser http1_request http1_response chunked dns_query client_hello hello_guard)
  saw_fuzz(NAME ${parser} DEPS egress base)
endforeach()
