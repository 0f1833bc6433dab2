// The layers from which the trees of workspaces and sessions are stacked: directories with names that are
// never used twice. A layer is written by one sandbox at most; once it is nobody's upper it is frozen, and as
// many trees as like share it.
//
//   LayerStore layers = SAW_TRY(LayerStore::open("/var/lib/saw/node/layers", first_agent_uid));
//   const std::string layer = SAW_TRY(layers.make(index));     // empty, for the agent of the workspace `index`
//   layers.files(layer); layers.work(layer);                   // the directories an overlay wants
//   SAW_TRY(layers.sweep(used, trash));                        // what no record names goes to the trash
//
// Nothing counts references: the records that name layers (storage.cc) are the only truth, so a crash between
// making a layer and naming it, or between forgetting one and removing it, leaves at most a directory for the
// next sweep.
//
//   <layers>/l-<random>-<index>/files   belongs to the agent of the workspace that made it; index: see Storage
//                              /work    overlayfs's own
//                              /ways    directories that were made by make_ways()
//                              /since   of a session's layer: session_reference.h
//                              /item    of an item in quarantine: what it is
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/storage_trash.h"

namespace saw::sandbox {

class LayerStore {
 public:
  static Result<LayerStore> open(std::string directory, std::optional<uint32_t> first_agent_uid);

  Result<std::string> make(uint32_t index) const;
  Result<> remove(const std::string& layer, Trash& trash) const { return trash.take(fd_.get(), layer); }
  // Moves every layer that is not in `used` to the trash, half-made ones too: all, or those of one workspace,
  // for which nobody may be making a layer then.
  Result<> sweep(const std::set<std::string>& used, Trash& trash,
                 std::optional<uint32_t> index = std::nullopt) const;

  int descriptor() const { return fd_.get(); }
  std::string directory(const std::string& layer) const { return directory_ + "/" + layer; }
  std::string files(const std::string& layer) const { return directory_ + "/" + layer + "/files"; }
  std::string ways(const std::string& layer) const { return directory_ + "/" + layer + "/ways"; }
  std::string work(const std::string& layer) const { return directory_ + "/" + layer + "/work"; }
  // Nothing was written to it, and nothing deleted below it: it holds at most the ways that were made.
  Result<bool> is_empty(const std::string& layer) const;
  // Directories that this layer must have before anything stands on it, as the topmost of `below` has them
  // ("/home/agent": also "/home"). Who finds a directory in lower layers only keeps to those, whatever appears
  // above it later. Nothing may have the layer mounted.
  Result<> make_ways(const std::string& layer, const std::vector<std::string>& below,
                     const std::vector<std::string>& paths) const;

  // The workspace index in a layer's name; nullopt: not the name of a layer.
  static std::optional<uint32_t> index_of(std::string_view layer);

 private:
  LayerStore(std::string directory, Fd fd, std::optional<uint32_t> first_agent_uid)
      : directory_(std::move(directory)), fd_(std::move(fd)), first_agent_uid_(first_agent_uid) {}
  std::string directory_;
  Fd fd_;
  std::optional<uint32_t> first_agent_uid_;
};

// The names in a directory that SAW itself fills (not an agent).
Result<std::vector<std::string>> names_in(const std::string& directory);

}  // namespace saw::sandbox
