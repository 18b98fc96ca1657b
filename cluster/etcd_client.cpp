// SPDX-License-Identifier: Apache-2.0
#include "cluster/etcd_client.hpp"

#include "cluster/base64url.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <optional>
#include <thread>
#include <utility>

#include <nlohmann/json.hpp>

namespace troupe::cluster {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr std::size_t max_answer_bytes = std::size_t{256} << 20;
constexpr milliseconds between_rounds{100};
constexpr milliseconds connect_within{1000};

// Codes of gRPC that say what will not change when another member is asked.
constexpr int code_invalid = 3;
constexpr int code_not_found = 5;
constexpr int code_denied = 7;
constexpr int code_exhausted = 8;
constexpr int code_precondition = 9;
constexpr int code_out_of_range = 11;
constexpr int code_unimplemented = 12;
constexpr int code_unauthenticated = 16;

/// RFC 4648, section 4, with padding: what the gateway wants for bytes.
std::string to_base64(std::string_view bytes) {
  std::string text = to_base64url(bytes);
  std::replace(text.begin(), text.end(), '-', '+');
  std::replace(text.begin(), text.end(), '_', '/');
  text.append((4 - text.size() % 4) % 4, '=');
  return text;
}

std::optional<std::string> from_base64(std::string text) {
  while (!text.empty() && text.back() == '=') text.pop_back();
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  return from_base64url(text);
}

/// 64-bit numbers are strings in the gateway's JSON, and left out when 0.
std::int64_t number(const json& of, const char* name) {
  const auto found = of.find(name);
  if (found == of.end()) return 0;
  if (found->is_number_integer()) return found->get<std::int64_t>();
  if (!found->is_string()) return 0;
  const auto& text = found->get_ref<const std::string&>();
  std::int64_t result = 0;
  std::from_chars(text.data(), text.data() + text.size(), result);
  return result;
}

std::string bytes(const json& of, const char* name) {
  const auto found = of.find(name);
  if (found == of.end() || !found->is_string()) return {};
  return from_base64(found->get<std::string>()).value_or(std::string());
}

std::vector<etcd_entry> entries(const json& of) {
  std::vector<etcd_entry> result;
  const auto list = of.find("kvs");
  if (list == of.end() || !list->is_array()) return result;
  for (const json& one : *list) {
    result.push_back({bytes(one, "key"), bytes(one, "value"), number(one, "create_revision")});
  }
  return result;
}

json range_json(const std::string& key, const std::string& end, std::size_t limit) {
  json result{{"key", to_base64(key)}};
  if (!end.empty()) result["range_end"] = to_base64(end);
  if (limit != 0) result["limit"] = std::to_string(limit);
  return result;
}

json operations_json(const std::vector<etcd_operation>& list) {
  json result = json::array();
  for (const etcd_operation& one : list) {
    switch (one.kind) {
      case etcd_operation::what::put: {
        json put{{"key", to_base64(one.key)}, {"value", to_base64(one.value_or_end)}};
        if (one.lease != 0) put["lease"] = std::to_string(one.lease);
        result.push_back({{"request_put", std::move(put)}});
        break;
      }
      case etcd_operation::what::erase:
        result.push_back({{"request_delete_range", range_json(one.key, one.value_or_end, 0)}});
        break;
      case etcd_operation::what::range:
        result.push_back({{"request_range", range_json(one.key, one.value_or_end, 0)}});
        break;
    }
  }
  return result;
}

std::size_t take(char* data, std::size_t size, std::size_t count, void* to) {
  auto& text = *static_cast<std::string*>(to);
  if (text.size() + size * count > max_answer_bytes) return 0;
  text.append(data, size * count);
  return size * count;
}

struct list_deleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

/// What a member said that is no answer.
struct complaint {
  int code = 0;
  std::string text;
};

complaint complaint_of(const json& said, long status) {
  complaint result;
  result.text = "status " + std::to_string(status);
  const auto inner = said.find("error");
  const json& trouble = inner != said.end() && inner->is_object() ? *inner : said;
  result.code = static_cast<int>(number(trouble, trouble.contains("code") ? "code" : "grpc_code"));
  for (const char* name : {"message", "error"}) {
    const auto words = trouble.find(name);
    if (words != trouble.end() && words->is_string()) result.text = words->get<std::string>();
  }
  return result;
}

/// None: another member may know better, or the same one later: it has no leader, or starts or
/// stops.
std::optional<refusal_errc> meaning_of(const complaint& what) {
  switch (what.code) {
    case code_not_found:
      return refusal_errc::missing;
    case code_invalid:
      if (what.text.find("too large") != std::string::npos) return refusal_errc::too_large;
      if (what.text.find("user") != std::string::npos) return refusal_errc::denied;
      return refusal_errc::unsupported;
    case code_exhausted:  // the answer is too long, or etcd's space is used up
      return refusal_errc::too_large;
    case code_denied:
    case code_unauthenticated:
      return refusal_errc::denied;
    case code_precondition:
    case code_out_of_range:
    case code_unimplemented:
      return refusal_errc::unsupported;
    default:
      return std::nullopt;
  }
}

/// The token ends when it has not been used for minutes, and when users change.
bool wants_a_new_token(const complaint& what) {
  return what.code == code_unauthenticated ||
         (what.code == code_invalid && what.text.find("auth store is old") != std::string::npos);
}

}  // namespace

struct etcd_client::impl {
  etcd_address store;
  milliseconds attempt;
  std::size_t first = 0;  ///< Of store.members: the last that answered.
  std::string token;      ///< What etcd gave for the password.
  CURLM* multi = nullptr;
  CURL* easy = nullptr;
  std::atomic<bool> stopping{false};

  struct answer {
    long status = 0;
    std::string body;
  };
  [[nodiscard]] tl::expected<answer, std::string> ask_one(const std::string& url,
                                                          const std::string& body,
                                                          milliseconds within);
  [[nodiscard]] tl::expected<json, refusal> ask_any(const char* path, const json& what,
                                                    instant deadline, bool* is_token_old);
  [[nodiscard]] tl::expected<json, refusal> ask(const char* path, const json& what,
                                                instant deadline);
};

tl::expected<etcd_client::impl::answer, std::string> etcd_client::impl::ask_one(
    const std::string& url, const std::string& body, milliseconds within) {
  answer result;
  curl_easy_reset(easy);
  std::unique_ptr<curl_slist, list_deleter> headers(
      curl_slist_append(nullptr, "Content-Type: application/json"));
  if (!token.empty()) {
    const std::string line = "Authorization: " + token;
    curl_slist_append(headers.get(), line.c_str());
  }
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.data());
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &take);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &result.body);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(within.count()));
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(std::min(within, connect_within).count()));
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");  // that of the environment is not for this
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  const auto file = [this](CURLoption option, const std::string& path) {
    if (!path.empty()) curl_easy_setopt(easy, option, path.c_str());
  };
  file(CURLOPT_CAINFO, store.authorities);
  file(CURLOPT_SSLCERT, store.certificate);
  file(CURLOPT_SSLKEY, store.certificate_key);
  if (curl_multi_add_handle(multi, easy) != CURLM_OK)
    return tl::unexpected(std::string("curl has no room"));
  CURLcode code = CURLE_ABORTED_BY_CALLBACK;
  int running = 1;
  while (running > 0 && !stopping) {
    if (curl_multi_perform(multi, &running) != CURLM_OK) break;
    if (running > 0) curl_multi_poll(multi, nullptr, 0, 1000, nullptr);
  }
  int left = 0;
  while (const CURLMsg* said = curl_multi_info_read(multi, &left)) {
    if (said->msg == CURLMSG_DONE) code = said->data.result;
  }
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &result.status);
  curl_multi_remove_handle(multi, easy);
  if (code != CURLE_OK) return tl::unexpected(std::string(curl_easy_strerror(code)));
  return result;
}

tl::expected<json, refusal> etcd_client::impl::ask_any(const char* path, const json& what,
                                                       instant deadline, bool* is_token_old) {
  const auto failed = [](refusal_errc errc, std::string why) {
    return tl::unexpected(refusal{errc, "etcd: " + std::move(why), {}});
  };
  const std::string body = what.dump(-1, ' ', false, json::error_handler_t::replace);
  std::string last = "no member was asked in time";
  for (std::size_t tries = 0; !stopping; ++tries) {
    if (tries > 0 && tries % store.members.size() == 0) {
      std::this_thread::sleep_for(between_rounds);
    }
    const auto left =
        std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return failed(refusal_errc::io, last);
    const std::string& member = store.members[first];
    const auto got = ask_one(member + path, body, std::min(left, attempt));
    if (!got) {
      last = member + ": " + got.error();
      first = (first + 1) % store.members.size();
      continue;
    }
    json said = json::parse(got->body, nullptr, false);
    if (said.is_discarded() || !said.is_object()) {
      last = member + ": status " + std::to_string(got->status) +
             " and no JSON; is this etcd 3.4 or newer, and is TLS (etcds://) right or wrong there?";
      first = (first + 1) % store.members.size();
      continue;
    }
    if (got->status == 200 && !said.contains("error")) return said;
    const complaint why = complaint_of(said, got->status);
    last = member + ": " + why.text;
    *is_token_old = wants_a_new_token(why);
    if (const auto meaning = meaning_of(why)) return failed(*meaning, last);
    first = (first + 1) % store.members.size();
  }
  return failed(refusal_errc::io, "stopped");
}

tl::expected<json, refusal> etcd_client::impl::ask(const char* path, const json& what,
                                                   instant deadline) {
  bool is_token_old = false;
  for (int attempts = 0;; ++attempts) {
    if (!store.user.empty() && token.empty()) {
      auto let_in =
          ask_any("/v3/auth/authenticate", {{"name", store.user}, {"password", store.password}},
                  deadline, &is_token_old);
      if (!let_in) return let_in;
      const auto found = let_in->find("token");
      if (found != let_in->end() && found->is_string()) token = found->get<std::string>();
    }
    is_token_old = false;
    auto said = ask_any(path, what, deadline, &is_token_old);
    if (said || !is_token_old || store.user.empty() || attempts == 2) return said;
    token.clear();
  }
}

etcd_client::etcd_client(etcd_address store, milliseconds attempt)
    : impl_(std::make_unique<impl>()) {
  impl_->store = std::move(store);
  impl_->attempt = attempt;
  impl_->multi = curl_multi_init();
  impl_->easy = curl_easy_init();
}

etcd_client::~etcd_client() {
  if (impl_->easy != nullptr) curl_easy_cleanup(impl_->easy);
  if (impl_->multi != nullptr) curl_multi_cleanup(impl_->multi);
}

void etcd_client::stop() {
  impl_->stopping = true;
  curl_multi_wakeup(impl_->multi);
}

tl::expected<std::vector<etcd_entry>, refusal> etcd_client::range(const std::string& key,
                                                                  const std::string& end,
                                                                  std::size_t limit,
                                                                  instant deadline) {
  auto said = impl_->ask("/v3/kv/range", range_json(key, end, limit), deadline);
  if (!said) return tl::unexpected(std::move(said.error()));
  return entries(*said);
}

tl::expected<etcd_outcome, refusal> etcd_client::transact(
    const std::vector<etcd_compare>& when, const std::vector<etcd_operation>& then,
    const std::vector<etcd_operation>& otherwise, instant deadline) {
  json compares = json::array();
  for (const etcd_compare& one : when) {
    json compare{{"key", to_base64(one.key)}, {"result", "EQUAL"}};
    if (one.create_revision >= 0) {
      compare["target"] = "CREATE";
      compare["create_revision"] = std::to_string(one.create_revision);
    } else {
      compare["target"] = "VALUE";
      compare["value"] = to_base64(one.value);
    }
    compares.push_back(std::move(compare));
  }
  auto said = impl_->ask("/v3/kv/txn",
                         {{"compare", std::move(compares)},
                          {"success", operations_json(then)},
                          {"failure", operations_json(otherwise)}},
                         deadline);
  if (!said) return tl::unexpected(std::move(said.error()));
  etcd_outcome result;
  const auto succeeded = said->find("succeeded");
  result.succeeded = succeeded != said->end() && succeeded->is_boolean() && succeeded->get<bool>();
  if (const auto header = said->find("header"); header != said->end() && header->is_object()) {
    result.revision = number(*header, "revision");
  }
  if (const auto list = said->find("responses"); list != said->end() && list->is_array()) {
    for (const json& one : *list) {
      const auto found = one.find("response_range");
      if (found != one.end()) result.ranges.push_back(entries(*found));
    }
  }
  return result;
}

tl::expected<etcd_client::lease, refusal> etcd_client::grant(std::chrono::seconds life,
                                                             instant deadline) {
  auto said =
      impl_->ask("/v3/lease/grant", {{"TTL", std::to_string(life.count())}, {"ID", "0"}}, deadline);
  if (!said) return tl::unexpected(std::move(said.error()));
  return lease{number(*said, "ID"), std::chrono::seconds(number(*said, "TTL"))};
}

tl::expected<std::chrono::seconds, refusal> etcd_client::keep_alive(std::int64_t id,
                                                                    instant deadline) {
  auto said = impl_->ask("/v3/lease/keepalive", {{"ID", std::to_string(id)}}, deadline);
  if (!said) return tl::unexpected(std::move(said.error()));
  // A stream's answers are wrapped.
  const auto result = said->find("result");
  return std::chrono::seconds(number(result != said->end() ? *result : *said, "TTL"));
}

tl::expected<void, refusal> etcd_client::revoke(std::int64_t id, instant deadline) {
  auto said = impl_->ask("/v3/lease/revoke", {{"ID", std::to_string(id)}}, deadline);
  if (!said) return tl::unexpected(std::move(said.error()));
  return {};
}

}  // namespace troupe::cluster
