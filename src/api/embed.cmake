# cmake -DIN=file -DOUT=file.cc -P embed.cmake: the text as a function's constant.
file(READ ${IN} text)
file(WRITE ${OUT} "#include \"api/routes.h\"\n\nnamespace saw::api {\nstd::string_view openapi_document() {\n  return R\"openapi(${text})openapi\";\n}\n}  // namespace saw::api\n")
