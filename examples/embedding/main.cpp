// SPDX-License-Identifier: Apache-2.0
//
// A service with a troupe node inside: its own directive `applause N` gives a location a content
// stage that is an actor of this program. The phases before and after it are Lua, as anywhere.
//
//   embedding_example examples/embedding        # serves until it is told to end (SIGTERM, ^C)
#include <signal.h>

#include <cstdio>
#include <string>

#include "actors/stage.hpp"
#include "runtime/conf/builder.hpp"
#include "runtime/conf/values.hpp"
#include "troupe/node.hpp"

namespace {

using namespace troupe;

/// Answers with as many claps as its location wants. One on each shard, so that it needs no lock.
class applause_stage final : public actors::stage {
public:
  applause_stage(caf::actor_config& config, actors::shard& home, std::int64_t claps)
      : stage(config, home), claps_(claps) {}

  actors::verdict handle(actors::exchange_box& box) override {
    net::exchange& x = box.x;
    x.status = 200;
    x.content_type = "text/plain";
    for (std::int64_t i = 0; i < claps_; ++i) x.body_out.append("clap\n");
    return actors::finish(box, 0);  // The owner runs the filters and sends it.
  }
  const char* name() const override { return "embedding_example.applause_stage"; }

private:
  std::int64_t claps_;
};

void apply_applause(conf::builder& builder, const conf::directive& given) {
  const auto claps = conf::parse_number(given.name, given.args[0]);
  if (!claps) return builder.fail(given, claps.error());
  auto spec = std::make_shared<actors::stage_spec>();
  spec->name = "applause";
  spec->where = lua::phase::content;
  spec->spawn = [claps = static_cast<std::int64_t>(*claps)](actors::shard& home, actors::shard_release&) {
    return actors::spawn_on<applause_stage>(home, claps).handle;
  };
  builder.here().content = std::move(spec);
}

constexpr conf::directive_row rows[] = {
    {.name = "applause", .contexts = conf::context::location, .arguments = conf::takes::one,
     .syntax = "number", .merge = conf::merging::none, .help = "Claps so many times.",
     .apply = apply_applause, .once = true},
};
constexpr conf::directive_module applause{"applause", "Applause.", rows};

void print(const diagnostics& problems) {
  for (const diagnostic& problem : problems) std::fprintf(stderr, "%s\n", text(problem).c_str());
}

}  // namespace

int main(int count, char** arguments) {
  // A node catches no signals: they are the program's. Threads that it makes inherit this mask.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  node_options options;
  options.app = count > 1 ? arguments[1] : "examples/embedding";
  if (count > 2) options.port = static_cast<std::uint16_t>(std::stoi(arguments[2]));
  options.modules = {&applause};
  node served(std::move(options));
  if (auto started = served.start(); !started) {
    print(started.error());
    return 1;
  }
  for (const listener_info& at : served.listeners()) std::printf("listening on %s\n", at.address.c_str());
  std::fflush(stdout);
  int signal = 0;
  sigwait(&ends, &signal);
  served.stop(stop_mode::graceful);
  return served.wait();
}
