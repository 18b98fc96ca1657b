// SPDX-License-Identifier: Apache-2.0
//
// The fields, in both directions, of what orders are made of, and others have in them too.
//
// Source   docs/cluster.md, "Orders"; cluster/wire has the form.
// Thread   any.
// Called   by cluster/order, cluster/messages, cluster/cluster_state.
#pragma once

#include "cluster/order.hpp"
#include "cluster/wire.hpp"

namespace troupe::cluster {

template <class Wire, class Labels>
void label_fields(Wire& wire, std::string_view field, Labels& labels) {
  wire.map(field, labels, selector::max_labels, selector::max_label_bytes,
           [&](auto& value) { wire.text(field, value, selector::max_label_bytes); });
}

template <class Wire, like<selector> Selector>
void fields(Wire& wire, std::string_view field, Selector& to) {
  wire.record(field, 3, [&] {
    label_fields(wire, field, to.labels);
    wire.number(field, to.percent, 100);
    wire.text(field, to.salt, selector::max_salt_bytes);
  });
}

template <class Wire, like<push_policy> Policy>
void fields(Wire& wire, Policy& policy) {
  wire.record("policy", 5, [&] {
    wire.number("require_percent", policy.require_percent, 100);
    wire.span("prepare_deadline", policy.prepare_deadline);
    wire.number("canary_percent", policy.canary_percent, 100);
    wire.span("canary_watch", policy.canary_watch);
    wire.text("stop_if", policy.stop_if, order::max_stop_if_bytes);
  });
}

template <class Wire, like<signed_order> Signed>
void fields(Wire& wire, Signed& signed_one) {
  wire.record("order", 3, [&] {
    wire.bytes("order", signed_one.bytes, order::max_bytes);
    wire.key("signer", signed_one.signer);
    wire.bytes("signature", signed_one.signature, 64);
  });
}

}  // namespace troupe::cluster
