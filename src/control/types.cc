#include "control/types.h"

namespace saw::control {

std::string_view name(WorkspaceState state) {
  switch (state) {
    case WorkspaceState::stopped:
      return "stopped";
    case WorkspaceState::starting:
      return "starting";
    case WorkspaceState::running:
      return "running";
    case WorkspaceState::stopping:
      return "stopping";
    case WorkspaceState::failed:
      return "failed";
  }
  return "failed";
}

std::string_view name(ExitKind kind) {
  switch (kind) {
    case ExitKind::exited:
      return "exited";
    case ExitKind::signalled:
      return "signalled";
    case ExitKind::timed_out:
      return "timed_out";
    case ExitKind::out_of_memory:
      return "out_of_memory";
    case ExitKind::file_too_large:
      return "file_too_large";
    case ExitKind::not_started:
      return "not_started";
    case ExitKind::sandbox_gone:
      return "sandbox_gone";
  }
  return "sandbox_gone";
}

std::string_view limit(ExitKind kind) {
  switch (kind) {
    case ExitKind::timed_out:
      return "wall_clock";
    case ExitKind::out_of_memory:
      return "memory";
    case ExitKind::file_too_large:
      return "file_size";
    default:
      return "";
  }
}

}  // namespace saw::control
