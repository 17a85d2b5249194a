/// Rows as Kamailio's columns hold them, and the way there and back. No SQL and no SOCI here: each
/// struct lists its columns once, and statements, bindings and tests all follow that list.
///
/// Kamailio's columns lose a little: milliseconds, schemes, ports, the type of a body. What they
/// would lose is kept in columns of our own (x_*), which Kamailio never names and leaves NULL. An
/// x_ column only *adds* to Kamailio's, so that a row Kamailio has changed meanwhile still reads well.
#pragma once

#include <cstdint>
#include <presence/storage.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace presence::sql {

template <class T>
struct nullable {
  T value = {};
  bool null = true;

  void set(T v) {
    value = std::move(v);
    null = false;
  }
  void clear() {
    value = T{};
    null = true;
  }
};

using number = long long;
using text = std::string;
/// The contents of a binary column.
struct bytes : std::string {};

/// Table presentity.
struct publication_columns {
  number id = 0;
  text username, domain, event, etag;
  number expires = 0, received_time = 0;
  nullable<bytes> body;  ///< NULL in an update: the stored body and type stay
  text sender;
  nullable<text> ruid;
  nullable<number> x_id;           ///< publication_row::id; NULL: the table's own id serves
  nullable<text> x_content_type;   ///< NULL: Kamailio's usual type for the event; in an update, see body
  nullable<number> x_expires_ms;   ///< milliseconds to add to `expires`
  nullable<number> x_received_ms;  ///< milliseconds to add to `received_time`
  nullable<number> x_nth;          ///< NULL: 0
  nullable<text> x_publisher;      ///< NULL: none
  nullable<bytes> x_long;          ///< what was too long for its column, see overlong.hpp

  template <class Self, class F>
  static void resource(Self& c, F&& f) {
    f("username", c.username);
    f("domain", c.domain);
  }
  template <class Self, class F>
  static void tag(Self& c, F&& f) {
    f("etag", c.etag);
  }
  template <class Self, class F>
  static void key(Self& c, F&& f) {
    resource(c, f);
    f("event", c.event);
    tag(c, f);
  }
  template <class Self, class F>
  static void state(Self& c, F&& f) {
    f("expires", c.expires);
    f("received_time", c.received_time);
    f("sender", c.sender);
    f("x_id", c.x_id);
    f("x_expires_ms", c.x_expires_ms);
    f("x_received_ms", c.x_received_ms);
    f("x_nth", c.x_nth);
    f("x_publisher", c.x_publisher);
    f("x_long", c.x_long);
  }
  template <class Self, class F>
  static void content(Self& c, F&& f) {
    f("body", c.body);
    f("x_content_type", c.x_content_type);
  }
  template <class Self, class F>
  static void birth(Self& c, F&& f) {
    f("ruid", c.ruid);
  }
};

/// Table active_watchers.
struct subscription_columns {
  number id = 0;
  text callid, to_tag, from_tag, event;
  nullable<text> event_id;
  text presentity_uri;
  text watcher_username, watcher_domain, to_user, to_domain, from_user, from_domain;
  number local_cseq = 0;  ///< one less than ours: Kamailio adds one before it sends
  number remote_cseq = 0;
  text contact;
  nullable<text> record_route;
  number expires = 0, status = 0;
  nullable<text> reason;
  number version = 0;  ///< of the last document, one less than ours
  text socket_info, local_contact;
  nullable<text> user_agent;
  nullable<number> x_expires_ms;  ///< milliseconds to add to `expires`
  nullable<number> x_since_ms;    ///< begin of the subscription, milliseconds since 1970; NULL: Kamailio made the row
  nullable<text> x_local_uri;     ///< NULL: sip:to_user@to_domain
  nullable<text> x_remote_uri;    ///< NULL: sip:from_user@from_domain
  nullable<text> x_event;         ///< Event value; NULL: event[;id=event_id]
  nullable<bytes> x_cookie;       ///< NULL: socket_info
  nullable<text> x_headers;       ///< NULL: none
  nullable<text> x_display_name;  ///< NULL: none
  nullable<text> x_also;          ///< NULL: none
  nullable<text> x_owner;         ///< NULL: nobody
  nullable<number> x_approved;    ///< NULL: not known
  nullable<number> x_other_usages;  ///< 0 or 1, and twice subscription_row::nth; NULL: not known
  nullable<number> x_secure;      ///< NULL: as contact and socket_info say
  nullable<number> x_proven;  ///< whether the watcher's address was proven; NULL: Kamailio's script saw to it
  nullable<bytes> x_long;     ///< what was too long for its column

  template <class Self, class F>
  static void resource(Self& c, F&& f) {
    f("presentity_uri", c.presentity_uri);
  }
  template <class Self, class F>
  static void key(Self& c, F&& f) {
    f("callid", c.callid);
    f("to_tag", c.to_tag);
    f("from_tag", c.from_tag);
    f("event", c.event);
    f("event_id", c.event_id);
  }
  template <class Self, class F>
  static void numbers(Self& c, F&& f) {
    f("local_cseq", c.local_cseq);
    f("version", c.version);
  }
  template <class Self, class F>
  static void state(Self& c, F&& f) {
    f("presentity_uri", c.presentity_uri);
    f("watcher_username", c.watcher_username);
    f("watcher_domain", c.watcher_domain);
    f("to_user", c.to_user);
    f("to_domain", c.to_domain);
    f("from_user", c.from_user);
    f("from_domain", c.from_domain);
    f("remote_cseq", c.remote_cseq);
    f("contact", c.contact);
    f("record_route", c.record_route);
    f("expires", c.expires);
    f("status", c.status);
    f("reason", c.reason);
    f("socket_info", c.socket_info);
    f("local_contact", c.local_contact);
    f("user_agent", c.user_agent);
    f("x_expires_ms", c.x_expires_ms);
    f("x_since_ms", c.x_since_ms);
    f("x_local_uri", c.x_local_uri);
    f("x_remote_uri", c.x_remote_uri);
    f("x_event", c.x_event);
    f("x_cookie", c.x_cookie);
    f("x_headers", c.x_headers);
    f("x_display_name", c.x_display_name);
    f("x_also", c.x_also);
    f("x_owner", c.x_owner);
    f("x_approved", c.x_approved);
    f("x_other_usages", c.x_other_usages);
    f("x_secure", c.x_secure);
    f("x_proven", c.x_proven);
    f("x_long", c.x_long);
  }
};

/// Table watchers.
struct watcher_columns {
  number id = 0;
  text presentity_uri, watcher_username, watcher_domain, event;
  number status = 0;
  nullable<text> reason;
  number inserted_time = 0;
  nullable<number> x_inserted_ms;  ///< milliseconds to add to `inserted_time`
  nullable<bytes> x_long;          ///< what was too long for its column

  template <class Self, class F>
  static void resource(Self& c, F&& f) {
    f("presentity_uri", c.presentity_uri);
  }
  template <class Self, class F>
  static void key(Self& c, F&& f) {
    resource(c, f);
    f("watcher_username", c.watcher_username);
    f("watcher_domain", c.watcher_domain);
    f("event", c.event);
  }
  template <class Self, class F>
  static void state(Self& c, F&& f) {
    f("status", c.status);
    f("reason", c.reason);
    f("inserted_time", c.inserted_time);
    f("x_inserted_ms", c.x_inserted_ms);
    f("x_long", c.x_long);
  }
};

/// Table presence_states, our own.
struct state_columns {
  number id = 0;  // there is none
  text username, domain, event;
  number stamp = 0;
  number touched = 0;         ///< seconds since 1970
  nullable<number> turns_ms;  ///< milliseconds since 1970
  nullable<bytes> x_long;     ///< what was too long for its column

  template <class Self, class F>
  static void resource(Self& c, F&& f) {
    f("username", c.username);
    f("domain", c.domain);
  }
  template <class Self, class F>
  static void key(Self& c, F&& f) {
    resource(c, f);
    f("event", c.event);
  }
  template <class Self, class F>
  static void state(Self& c, F&& f) {
    f("stamp", c.stamp);
    f("touched", c.touched);
    f("turns_ms", c.turns_ms);
    f("x_long", c.x_long);
  }
};

/// An address in a pair of columns that are part of a unique key: different texts always make
/// different pairs, and join() gives back exactly what split() took. `sip:user@host` and `sip:host`
/// look as Kamailio writes them; any other text (tel:, sips:, a port without a user) stands whole in
/// `domain`.
struct user_domain {
  std::string_view user = {}, domain = {};
  bool escaped = false;  ///< `domain` must be preceded by ':' to be told from a host name
};
user_domain split(std::string_view address);
void put(std::string_view address, text& user, text& domain);  ///< split() into two columns
text join(std::string_view user, std::string_view domain);

/// Assigns every column from a row, but `id`. The strings keep their memory from call to call.
void to_columns(const publication_row&, publication_columns&);  ///< but what birth_columns() does
void birth_columns(const publication_row&, publication_columns&);  ///< what no update writes
void to_columns(const subscription_row&, subscription_columns&);
void to_columns(const watcher_row&, watcher_columns&);
void to_columns(const state_stamp&, state_columns&);  ///< but `touched`
/// Assigns the numbers only.
void number_columns(const number_reservation&, subscription_columns&);
/// Assigns the columns a filter compares.
void filter_columns(const row_filter&, publication_columns&);
void filter_columns(const row_filter&, subscription_columns&);
void filter_columns(const row_filter&, watcher_columns&);
void key_columns(std::string_view resource, std::string_view event, state_columns&);
/// Assigns the key columns only.
void key_columns(std::string_view resource, std::string_view event, std::string_view etag,
                 publication_columns&);
void key_columns(const subscription_key&, subscription_columns&);
void key_columns(const subscription_row&, subscription_columns&);
void key_columns(const watcher_key&, watcher_columns&);

/// Whole values are put back into the columns on the way.
publication_row to_row(publication_columns&);
subscription_row to_row(subscription_columns&);
watcher_row to_row(watcher_columns&);

/// The state a row belongs to.
state_name state_of(publication_columns&);
state_name state_of(subscription_columns&);
state_name state_of(watcher_columns&);
state_name state_of(state_columns&);

/// A moment as Kamailio's column and the milliseconds to add to it. Kamailio reads 32 bits, so later
/// moments stand at its last second (year 2038) with all the rest in the milliseconds.
struct split_time {
  number column = 0;
  number rest = 0;
};
split_time expiry_columns(instant);  ///< rounded up; `never` is -1
split_time moment_columns(instant);  ///< rounded down
instant expiry_of(number column, const nullable<number>& rest);
instant moment_of(number column, const nullable<number>& rest);

// --- lists of columns as values that can be combined and handed on --------------------------------

inline constexpr auto resource_list = []<class C>(C& c, auto&& f) { C::resource(c, f); };
inline constexpr auto key_list = []<class C>(C& c, auto&& f) { C::key(c, f); };
inline constexpr auto state_list = []<class C>(C& c, auto&& f) { C::state(c, f); };
inline constexpr auto id_list = [](auto& c, auto&& f) { f("id", c.id); };
inline constexpr auto event_list = [](auto& c, auto&& f) { f("event", c.event); };
inline constexpr auto tag_list = [](auto& c, auto&& f) { publication_columns::tag(c, f); };
inline constexpr auto content_list = [](auto& c, auto&& f) { publication_columns::content(c, f); };
inline constexpr auto birth_list = [](auto& c, auto&& f) { publication_columns::birth(c, f); };
inline constexpr auto numbers_list = [](auto& c, auto&& f) { subscription_columns::numbers(c, f); };
inline constexpr auto cseq_list = [](auto& c, auto&& f) { f("local_cseq", c.local_cseq); };
inline constexpr auto dialog_list = [](auto& c, auto&& f) {
  f("callid", c.callid);
  f("to_tag", c.to_tag);
  f("from_tag", c.from_tag);
};
inline constexpr auto call_id_list = [](auto& c, auto&& f) { f("callid", c.callid); };
inline constexpr auto stamp_list = [](auto& c, auto&& f) { f("stamp", c.stamp); };
inline constexpr auto mark_list = [](auto& c, auto&& f) {
  f("stamp", c.stamp);
  f("turns_ms", c.turns_ms);
};
/// What tells which state a row belongs to.
inline constexpr auto state_name_list = []<class C>(C& c, auto&& f) {
  C::resource(c, f);
  f("event", c.event);
  f("x_long", c.x_long);
};
inline constexpr auto no_list = [](auto&, auto&&) {};

/// A list without the event, which a filter tells.
template <class List>
constexpr auto but_event(List list) {
  return [=](auto& c, auto&& f) {
    list(c, [&](std::string_view name, auto& value) {
      if (name != "event") f(name, value);
    });
  };
}

/// One list after the other.
template <class... List>
constexpr auto all_of(List... list) {
  return [=](auto& c, auto&& f) { (list(c, f), ...); };
}

/// A column as statements see it.
enum class column_type : std::uint8_t { integer, string, binary };
struct column {
  std::string_view name;
  column_type type;
};
using columns = std::vector<column>;

constexpr column_type type_of(const number&) { return column_type::integer; }
constexpr column_type type_of(const text&) { return column_type::string; }
constexpr column_type type_of(const bytes&) { return column_type::binary; }
template <class T>
constexpr column_type type_of(const nullable<T>& n) {
  return type_of(n.value);
}

/// The columns in a list.
template <class C, class List>
columns columns_of(List list) {
  columns made;
  C row;
  list(row, [&](std::string_view name, auto& value) { made.push_back({name, type_of(value)}); });
  return made;
}

}  // namespace presence::sql
