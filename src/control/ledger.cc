#include "control/ledger.h"

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "egress/allowance.h"
#include "os/shared_map.h"

namespace saw::control {

Result<Fd> open_ledger(const std::string& directory, const std::string& workspace) {
  if (directory.empty()) return Error::make("egress.ledger", "there is no directory for ledgers");
  SAW_TRY(make_directories(directory, 0700), "making the directory of ledgers");
  Fd file =
      SAW_TRY(Fd::open(directory + "/" + workspace, O_RDWR | O_CREAT | O_NOFOLLOW, 0600), "opening a ledger");
  SAW_TRY(os::preallocate(file, egress::Allowance::kLedgerBytes), "giving a ledger its room");
  return file;
}

void remove_ledger(const std::string& directory, const std::string& workspace) {
  if (directory.empty()) return;
  const std::string path = directory + "/" + workspace;
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    log_warning("the ledger '{}' stays: errno {}", path, errno);
}

}  // namespace saw::control
