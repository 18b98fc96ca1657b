// SPDX-License-Identifier: Apache-2.0
#include "cluster/change.hpp"

#include "cluster/order_fields.hpp"

#include <utility>

namespace troupe::cluster {
namespace {

constexpr unsigned form = 1;

// The fields of a signed order are among those of the change: one array fewer for each change.
template <class Wire, class Change>
void change_fields(Wire& wire, Change& what) {
  wire.number("epoch", what.epoch);
  wire.number("seq", what.seq);
  wire.name("parent", what.parent);
  wire.time("time", what.time);
  wire.number("release", what.release);
  wire.bytes("order", what.ordered.bytes, order::max_bytes);
  wire.key("signer", what.ordered.signer);
  wire.bytes("signature", what.ordered.signature, 64);
}

}  // namespace

std::string change::encode() const {
  wire_writer wire;
  wire.result().reserve(ordered.bytes.size() + 192);
  wire.record("change", 9, [&] {
    wire.number("form", form);
    change_fields(wire, *this);
  });
  return std::move(wire.result());
}

tl::expected<change, refusal> change::decode(std::string_view bytes) {
  wire_reader wire(bytes);
  const std::uint32_t count = wire.array("beginning");
  unsigned its_form = 0;
  wire.number("form", its_form);
  if (!wire.failed() && its_form != form) {
    return tl::unexpected(refusal{.errc = refusal_errc::unsupported,
                                  .reason = "a change of form " + std::to_string(its_form) +
                                            "; this troupe knows " + std::to_string(form),
                                  .file = {}});
  }
  if (!wire.failed() && count != 9) wire.fail("number of fields");
  change result;
  change_fields(wire, result);
  if (!wire.failed() && !wire.at_end()) wire.fail("end");
  // Its digest is that of its bytes, so there is one way to say it.
  if (!wire.failed() && result.encode() != bytes) wire.fail("form");
  if (wire.failed()) {
    return tl::unexpected(
        refusal{.errc = refusal_errc::malformed,
                .reason = "not a change: its " + std::string(wire.problem()) + " is wrong",
                .file = {}});
  }
  return result;
}

position change::after() const {
  std::string hashed(parent.raw());
  hashed += encode();
  return {.epoch = epoch, .seq = seq, .state = digest::of(hashed)};
}

}  // namespace troupe::cluster
