// SPDX-License-Identifier: Apache-2.0
#include "runtime/folder_watch.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <map>
#include <thread>
#include <utility>

#include "cluster/disk.hpp"
#include "cluster/ignore_list.hpp"
#include "net/socket.hpp"
#include "runtime/log_file.hpp"
#include "runtime/process.hpp"

namespace troupe {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t saves = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE |
                                IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;
// A save is over when nothing has happened for this long.
constexpr int quiet_ms = 20;
// Or, where it never is quiet, after this long.
constexpr int most_ms = 1000;
// A folder that is exchanged is away for a moment.
constexpr int away_ms = 100;

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

}  // namespace

struct folder_watch::impl {
  std::string folder;
  std::function<void()> on_change;
  net::unique_fd events;
  net::unique_fd stop_read;
  net::unique_fd stop_write;
  std::map<int, std::string> folders;  ///< Relative paths, by their watch; "" is the top.
  int around = -1;   ///< The watch of the folder that the top lies in, where another may take its place.
  std::string name;  ///< Of the top, there.
  cluster::ignore_list ignored;
  std::thread thread;

  // What is not there any more needs no watch; inotify tells its parent.
  bool watch(const std::string& relative) {
    const std::string path = relative.empty() ? folder : folder + '/' + relative;
    const int number = inotify_add_watch(events.get(), path.c_str(), saves | IN_ONLYDIR);
    if (number < 0) return errno == ENOENT || errno == ENOTDIR;
    folders[number] = relative;
    std::error_code error;
    for (const fs::directory_entry& each : fs::directory_iterator(path, error)) {
      if (!each.is_directory(error) || each.is_symlink(error)) continue;
      const std::string name = each.path().filename().string();
      const std::string below = relative.empty() ? name : relative + '/' + name;
      // A node's data folder may lie in its app, and changes with each apply.
      const bool is_data = fs::exists(each.path() / "troupe.db", error);
      if (!is_data && !ignored.ignores(below, true) && !watch(below)) return false;
    }
    return true;
  }

  // Whether one of the events concerns the app.
  bool take_events() {
    alignas(inotify_event) char room[16 * 1024];
    bool matters = false;
    for (ssize_t got = 0; (got = read(events.get(), room, sizeof room)) > 0;) {
      for (char* at = room; at < room + got;) {
        const auto* event = reinterpret_cast<const inotify_event*>(at);
        at += sizeof *event + event->len;
        if ((event->mask & IN_Q_OVERFLOW) != 0) matters = true;
        // A symbolic link that is set anew, as deployments do it, is seen only here.
        if (event->wd == around) {
          if (event->len > 0 && name == event->name) matters = true;
          continue;
        }
        const auto found = folders.find(event->wd);
        if (found == folders.end()) continue;
        if ((event->mask & IN_IGNORED) != 0) {
          folders.erase(found);
          continue;
        }
        if (event->len == 0) {
          matters = true;
          continue;
        }
        const bool is_folder = (event->mask & IN_ISDIR) != 0;
        const std::string path =
            found->second.empty() ? event->name : found->second + '/' + event->name;
        if (ignored.ignores(path, is_folder)) continue;
        if (is_folder && (event->mask & (IN_CREATE | IN_MOVED_TO)) != 0) watch(path);
        // A file that is created is not complete before it is closed.
        if (!is_folder && (event->mask & IN_CREATE) != 0) continue;
        matters = true;
      }
    }
    return matters;
  }

  void read_rules() {
    const auto text = cluster::read_whole(folder + "/.troupeignore", 1 << 20);
    ignored = cluster::ignore_list(text ? *text : std::string());
  }

  // Before what is there is read: events may have been lost, the folder may be another one of the
  // same name, and .troupeignore may leave out other folders. False: the folder is away.
  bool watch_anew() {
    std::map<int, std::string> before;
    before.swap(folders);
    read_rules();
    watch("");
    if (folders.empty()) {
      folders.swap(before);
      return false;
    }
    for (const auto& [number, relative] : before) {
      if (!folders.contains(number)) inotify_rm_watch(events.get(), number);
    }
    return true;
  }

  void run() {
    name_thread("watch");
    bool changed = false;
    clock::time_point first;  // Of what has changed.
    clock::time_point due;
    for (;;) {
      int wait_ms = -1;
      if (changed) {
        const auto left = std::chrono::ceil<milliseconds>(due - clock::now());
        wait_ms = static_cast<int>(std::max<std::int64_t>(0, left.count()));
      }
      pollfd watched[] = {{events.get(), POLLIN, 0}, {stop_read.get(), POLLIN, 0}};
      const int ready = poll(watched, 2, wait_ms);
      if (ready < 0 && errno != EINTR) return;
      if (ready > 0 && watched[1].revents != 0) return;
      // What is ignored does not put off what is not.
      if (ready > 0 && take_events()) {
        const auto now = clock::now();
        if (!std::exchange(changed, true)) first = now;
        due = std::min(now + milliseconds(quiet_ms), first + milliseconds(most_ms));
      }
      if (!changed || clock::now() < due) continue;
      if (!watch_anew()) {
        due = clock::now() + milliseconds(away_ms);
        continue;
      }
      changed = false;
      on_change();
    }
  }
};

folder_watch::folder_watch(std::unique_ptr<impl> made) : impl_(std::move(made)) {}
folder_watch::folder_watch(folder_watch&&) noexcept = default;

folder_watch::~folder_watch() {
  if (!impl_) return;
  impl_->stop_write.reset();
  impl_->thread.join();
}

tl::expected<folder_watch, diagnostic> folder_watch::open(const std::string& folder,
                                                          std::function<void()> on_change) {
  auto made = std::make_unique<impl>();
  made->folder = folder;
  made->on_change = std::move(on_change);
  made->read_rules();
  made->events.reset(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  int ends[2];
  if (!made->events || pipe2(ends, O_CLOEXEC) != 0) {
    return tl::unexpected(diagnostic{.reason = system_error_text("inotify", folder, errno),
                                     .hint = "fs.inotify.max_user_instances may be too low"});
  }
  made->stop_read.reset(ends[0]);
  made->stop_write.reset(ends[1]);
  const fs::path top = fs::path(folder).has_filename() ? fs::path(folder)
                                                       : fs::path(folder).parent_path();
  made->name = top.filename().string();
  const fs::path above = top.has_parent_path() ? top.parent_path() : fs::path(".");
  // One that may not be read is no reason not to watch.
  made->around = inotify_add_watch(made->events.get(), above.c_str(),
                                   IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
  if (!made->watch("")) {
    return tl::unexpected(
        diagnostic{.reason = system_error_text("inotify_add_watch", folder, errno),
                   .hint = "fs.inotify.max_user_watches may be too low"});
  }
  made->thread = std::thread([self = made.get()] { self->run(); });
  return folder_watch(std::move(made));
}

}  // namespace troupe
