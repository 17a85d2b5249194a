#include "net_change.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>

namespace presence {

namespace {

template <class Tree>
auto upto(Tree& tree, std::size_t& most) {
  const std::size_t count = std::min(most, tree.size());
  most -= count;
  return std::next(tree.begin(), static_cast<std::ptrdiff_t>(count));
}
/// Usages of one dialog are not parted: each may be the one that is left, and only one of them has the numbers.
template <class Tree>
auto upto_whole_dialog(Tree& tree, std::size_t& most) {
  auto at = upto(tree, most);
  const auto dialog = [](const auto& edit) { return std::tie(edit.first.call_id, edit.first.local_tag, edit.first.remote_tag); };
  while (at != tree.begin() && at != tree.end() && dialog(*std::prev(at)) == dialog(*at)) ++at;
  return at;
}

}  // namespace

void net_change::add(change what) {
  for (auto& s : what.states) {
    state_name name = s.state;
    states.insert_or_assign(std::move(name), std::move(s));
  }
  for (auto& key : what.ended_publications) end(key);
  for (auto& row : what.new_publications) {
    publication_key key = key_of(row);
    publications.insert_or_assign(std::move(key), publication_edit{{}, true, std::move(row)});
  }
  for (auto& update : what.changed_publications) replace(std::move(update));
  for (auto& key : what.ended_subscriptions) end(key);
  for (auto& row : what.new_subscriptions) put(std::move(row), true);
  for (auto& row : what.changed_subscriptions) put(std::move(row), false);
  for (auto& r : what.reservations) reserve(std::move(r));
  for (auto& key : what.ended_watchers) watchers.insert_or_assign(std::move(key), std::nullopt);
  for (auto& row : what.watchers) {
    watcher_key key = key_of(row);
    watchers.insert_or_assign(std::move(key), std::move(row));
  }
}

void net_change::end(const publication_key& key) {
  const auto at = publications.find(key);
  if (at == publications.end()) {
    ended_publications.emplace(key, true);
    return;
  }
  if (at->second.stored_etag) ended_publications.emplace(publication_key{key.resource, key.event, *at->second.stored_etag}, true);
  publications.erase(at);
}

void net_change::replace(publication_update&& u) {
  publication_key key{u.row.resource, u.row.event, std::move(u.old_etag)};
  auto at = publications.lower_bound(key);  // the new tag is near the old one, few are of one resource
  std::optional<std::string> stored_etag;
  if (at != publications.end() && at->first == key) {
    publication_edit& before = at->second;
    stored_etag = std::move(before.stored_etag);
    if (!u.content_changed) u.row.content = std::move(before.row.content);
    u.content_changed = u.content_changed || before.content_changed;
    at = publications.erase(at);
  } else {
    stored_etag = std::move(key.etag);
  }
  key.etag = u.row.etag;
  publication_edit& edit = publications.try_emplace(at, std::move(key))->second;
  edit.stored_etag = std::move(stored_etag);
  edit.content_changed = u.content_changed;
  edit.row = std::move(u.row);
}

void net_change::end(const subscription_key& key) {
  subscription_edit& edit = subscriptions[key];
  const bool stored = edit.ends || !edit.begins;
  edit = {};
  edit.ends = true;
  if (!stored) subscriptions.erase(key);
}

void net_change::put(subscription_row&& row, bool begins) {
  subscription_edit& edit = subscriptions[key_of(row)];
  edit.begins = edit.begins || begins;
  edit.row = std::move(row);
  edit.numbers.reset();
}

void net_change::reserve(number_reservation&& r) {
  subscription_edit& edit = subscriptions[r.key];
  if (edit.row) {
    edit.row->local_cseq = r.local_cseq;
    edit.row->version = r.version;
  } else if (!edit.ends) {
    edit.numbers = std::move(r);
  }
}

/// Rows that go are first: another may come under their key.
template <class Self>
change net_change::read(Self& from, std::size_t most) {
  change what;
  const auto pass = [](auto& x) {  // moved out of what is not const
    return std::move(x);
  };
  const auto some = [](auto& tree, auto end, auto&& add) {
    for (auto at = tree.begin(); at != end; ++at) add(at->first, at->second);
  };
  const auto each = [&](auto& tree, auto&& add) { some(tree, upto(tree, most), add); };
  each(from.states, [&](const auto&, auto& s) { what.states.push_back(pass(s)); });
  each(from.ended_publications, [&](const auto& key, bool) { what.ended_publications.push_back(key); });
  what.changed_publications.reserve(std::min(most, from.publications.size()));
  each(from.publications, [&](const auto&, auto& edit) {
    if (edit.stored_etag) {
      publication_update& u = what.changed_publications.emplace_back();
      u.old_etag = pass(*edit.stored_etag);
      u.content_changed = edit.content_changed;
      u.row = pass(edit.row);
    } else {
      what.new_publications.push_back(pass(edit.row));
    }
  });
  some(from.subscriptions, upto_whole_dialog(from.subscriptions, most), [&](const auto& key, auto& edit) {
    if (edit.ends) what.ended_subscriptions.push_back(key);
    if (edit.row) (edit.begins ? what.new_subscriptions : what.changed_subscriptions).push_back(pass(*edit.row));
    if (edit.numbers) what.reservations.push_back(pass(*edit.numbers));
  });
  each(from.watchers, [&](const auto& key, auto& row) {
    if (row) {
      what.watchers.push_back(pass(*row));
    } else {
      what.ended_watchers.push_back(key);
    }
  });
  return what;
}

change net_change::first(std::size_t most) const { return read(*this, most); }

void net_change::doubt(std::size_t most) {
  upto(states, most);
  upto(ended_publications, most);
  const auto last = upto(publications, most);
  for (auto at = publications.begin(); at != last; ++at) {
    publication_edit& edit = at->second;
    if (edit.stored_etag && *edit.stored_etag != edit.row.etag)
      ended_publications.emplace(publication_key{edit.row.resource, edit.row.event, *edit.stored_etag}, true);
    edit.stored_etag = edit.row.etag;
  }
  const auto end = upto_whole_dialog(subscriptions, most);
  for (auto at = subscriptions.begin(); at != end; ++at)
    at->second.ends = at->second.ends || at->second.begins;
}

change net_change::take() {
  change all = read(*this, size());
  *this = {};
  return all;
}

void net_change::drop(std::size_t most) noexcept {
  const auto some = [&](auto& tree) { tree.erase(tree.begin(), upto(tree, most)); };
  some(states);
  some(ended_publications);
  some(publications);
  subscriptions.erase(subscriptions.begin(), upto_whole_dialog(subscriptions, most));
  some(watchers);
}

}  // namespace presence
