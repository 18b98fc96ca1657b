// SPDX-License-Identifier: Apache-2.0
#include "tests/support/test_client.hpp"

#include "tests/support/test_node.hpp"

#include <algorithm>

namespace troupe::tests {
namespace {

bool has(const header_list& headers, std::string_view name) {
  return std::ranges::any_of(headers, [&](const auto& h) { return same_name(h.first, name); });
}

}  // namespace

test_client::test_client(const test_node& node, std::size_t listener)
    : server_(node.listener(listener)) {}

std::string test_client::message(std::string_view method, std::string_view path,
                                 std::string_view body, const header_list& headers) const {
  std::string text;
  text.append(method).append(" ").append(path).append(" HTTP/1.1\r\n");
  if (!has(headers, "Host")) text += "Host: " + server_.authority() + "\r\n";
  const bool framed = has(headers, "Content-Length") || has(headers, "Transfer-Encoding");
  if (!framed && (!body.empty() || method == "POST" || method == "PUT"))
    text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
  return text.append("\r\n").append(body);
}

response test_client::get(std::string_view path, const header_list& headers) {
  return request("GET", path, {}, headers);
}

response test_client::post(std::string_view path, std::string_view body,
                           const header_list& headers) {
  return request("POST", path, body, headers);
}

response test_client::request(std::string_view method, std::string_view path, std::string_view body,
                              const header_list& headers) {
  // Between two requests only the end of the connection can be there to read.
  if (!kept_ || kept_->socket() < 0 || kept_->has_more()) kept_.emplace(server_);
  kept_->send(message(method, path, body, headers));
  response answer = kept_->read_response(method == "HEAD");
  const auto connection = answer.header("Connection");
  const bool closes = connection && same_name(*connection, "close");
  if (closes || !answer.error.empty() || answer.status == 101) kept_.reset();
  return answer;
}

pending_response test_client::start(std::string_view method_and_path, std::string_view body,
                                    const header_list& headers) {
  const auto space = method_and_path.find(' ');
  const auto method = method_and_path.substr(0, space);
  test_connection connection = connect();
  connection.send(message(method, method_and_path.substr(space + 1), body, headers));
  return {std::move(connection), method == "HEAD"};
}

response test_client::raw(std::string_view bytes) {
  test_connection connection = connect();
  connection.send(bytes);
  return connection.read_response(bytes.starts_with("HEAD "));
}

std::vector<response> test_client::pipeline(const std::vector<std::string>& requests) {
  test_connection connection = connect();
  std::string bytes;
  for (const auto& request : requests) {
    const auto space = request.find(' ');
    bytes += message(request.substr(0, space), request.substr(space + 1));
  }
  connection.send(bytes);
  std::vector<response> answers;
  for (const auto& request : requests)
    answers.push_back(connection.read_response(request.starts_with("HEAD ")));
  return answers;
}

}  // namespace troupe::tests
