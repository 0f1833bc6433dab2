# Figures, peers and a driven saw-node: what the benchmarks of sandboxes share.
add_library(bench_support STATIC support/figures.cc support/contender.cc support/peers.cc support/bench_node.cc support/leaks.cc support/installation.cc)
target_include_directories(bench_support PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(bench_support PUBLIC node_under_test saw_policy PRIVATE nlohmann_json::nlohmann_json fmt::fmt)
saw_compile_options(bench_support)

saw_bench(NAME call LIBS bench_support fmt::fmt)
saw_bench(NAME api DEPS cli LIBS bench_support nlohmann_json::nlohmann_json fmt::fmt)
saw_bench(NAME session LIBS bench_support fmt::fmt)
saw_bench(NAME workspace LIBS bench_support fmt::fmt)
# saw-egress between a sandboxed client and nginx. OpenSSL is here for that client.
saw_bench(NAME egress LIBS bench_support OpenSSL::SSL nlohmann_json::nlohmann_json fmt::fmt)
target_sources(egress_bench PRIVATE support/http_load.cc support/web_origin.cc)
foreach(bench call egress api session workspace)
  add_dependencies(${bench}_bench fake_program saw-node saw-init sawd saw-egress saw-perimeter saw)
endforeach()
