saw_bench(NAME netns DEPS os LIBS fmt::fmt)
