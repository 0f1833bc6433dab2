foreach(parser http1_request http1_response chunked dns_query client_hello sse mcp_answer operation websocket registry_answer token_usage)
  saw_fuzz(NAME ${parser} DEPS egress base)
endforeach()
