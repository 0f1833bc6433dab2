// Enters the same namespaces that saw-node makes for itself, then runs the tests. As an ordinary user
// everything happens rootless.
#include <cstdio>

#include <gtest/gtest.h>

#include "userns_state.h"

namespace saw::kernel_test {
os::DaemonView& userns_state() {
  static os::DaemonView view;
  return view;
}
}  // namespace saw::kernel_test

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (!testing::GTEST_FLAG(list_tests)) {
    auto view = saw::os::enter_daemon_namespaces({});
    if (!view) {
      std::printf("SKIPPED: this host cannot make the namespaces that SAW needs: %s\n",
                  view.error().message.c_str());
      return 0;
    }
    saw::kernel_test::userns_state() = *view;
    std::printf("running %s\n", view->rootless ? "rootless" : "as root");
  }
  return RUN_ALL_TESTS();
}
