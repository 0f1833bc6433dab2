# SQLite is here to compare with; nothing that ships keeps its audit there.
pkg_check_modules(BENCH_SQLITE REQUIRED IMPORTED_TARGET sqlite3)
saw_bench(NAME audit DEPS audit LIBS PkgConfig::BENCH_SQLITE)
saw_bench(NAME identity DEPS identity LIBS fmt::fmt)
