foreach(parser http1_request http1_response chunked dns_query client_hello hello_guard proxy_request)
  saw_fuzz(NAME ${parser} DEPS egress base)
endforeach()
