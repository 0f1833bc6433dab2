find_package(benchmark REQUIRED)
saw_bench(NAME http1 DEPS egress base LIBS benchmark::benchmark)
