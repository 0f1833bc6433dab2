saw_bench(NAME decide DEPS policy LIBS fmt::fmt)
