/// Statements with the values they are bound to: for one row at a time, for a query, for many rows at
/// once. Internal, as is everything that sees SOCI here. None may outlive its session, and none is used
/// again after it has failed: SOCI would send its old values where the new ones are NULL.
#pragma once

#include <soci/soci.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "columns.hpp"
#include "dialect.hpp"
#include "encoding.hpp"
#include "soci_storage.hpp"
#include "statements.hpp"

namespace presence::sql {

// Where a column's value is in memory.
struct place {
  std::string name;
  column_type type = column_type::integer;
  number* digits = nullptr;
  std::string* characters = nullptr;
  bool* null = nullptr;

  place(std::string_view n, number& v) : name{n}, digits{&v} {}
  place(std::string_view n, text& v) : name{n}, type{column_type::string}, characters{&v} {}
  place(std::string_view n, bytes& v) : name{n}, type{column_type::binary}, characters{&v} {}
  template <class T>
  place(std::string_view n, nullable<T>& v) : place{n, v.value} {
    null = &v.null;
  }
  bool is_null() const { return null != nullptr && *null; }

  // As the database takes it. Changes the value, which is assigned anew for the next row anyway.
  void encode(const dialect& d) const {
    if (type == column_type::string && d.utf8_only) to_utf8(*characters);
    if (type == column_type::binary && d.hex_bytes) to_bytea(*characters);
  }
  bool is_encoded(const dialect& d) const {
    return (type == column_type::string && d.utf8_only) || (type == column_type::binary && d.hex_bytes);
  }
  void decode(const dialect& d) const {
    if (type == column_type::string && d.utf8_only) from_utf8(*characters);
    if (type == column_type::binary && d.hex_bytes) from_bytea(*characters);
  }
};

// One prepared statement, bound to one row.
template <class C>
class prepared {
 public:
  prepared(soci::session& session, const dialect& speaks, storage_counters& counters)
      : speaks_{speaks}, counters_{counters}, statement_{session} {}
  prepared(const prepared&) = delete;
  prepared& operator=(const prepared&) = delete;

  C values;                     // what is written, or what a fetch has read
  C key;                        // what key columns are compared with
  number after = 0, count = 0;  // of a page

  template <class List>
  void use_values(List list) {
    list(values, [this](std::string_view name, auto& value) { this->use({name, value}); });
  }
  template <class List>
  void use_key(List list) {
    list(key, [this](std::string_view name, auto& value) { this->use({key_name({name, {}}), value}); });
  }
  template <class List>
  void into_values(List list) {
    list(values, [this](std::string_view name, auto& value) { this->into({name, value}); });
  }
  void use_page() {
    use({"after", after});
    use({"count", count});
  }
  void use(place where) {
    exchanged& u = uses_.emplace_back(exchanged{std::move(where)});
    if (u.where.digits != nullptr)
      statement_.exchange(soci::use(*u.where.digits, u.state, u.where.name));
    else
      statement_.exchange(soci::use(*u.where.characters, u.state, u.where.name));
  }
  void prepare(const std::string& sentence) {
    statement_.alloc();
    statement_.prepare(sentence);
    int position = 1;
    for (fetched& i : intos_) {
      using namespace soci::details;
      i.from.reset(statement_.make_into_type_backend());
      if (i.as_text != nullptr)
        i.from->define_by_pos(position, i.as_text, x_stdstring);
      else
        i.from->define_by_pos(position, i.where.digits, x_long_long);
    }
    statement_.define_and_bind();
  }

  // Returns how many rows were written.
  long long execute() {
    start(true);
    return statement_.get_affected_rows();
  }

  // A query: call fetch() until it returns false. A query not read to its end would hold its snapshot.
  void start(bool with_data = false) {
    for (auto& u : uses_) {
      u.state = u.where.is_null() ? soci::i_null : soci::i_ok;
      if (!u.where.is_null()) u.where.encode(speaks_);
    }
    ++counters_.statements;
    failed_ = true;
    statement_.execute(with_data);
    failed_ = false;
  }
  bool failed() const { return failed_; }
  bool fetch() {
    if (statement_.get_backend()->fetch(1) != soci::details::statement_backend::ef_success) return false;
    ++counters_.rows_read;
    for (const fetched& i : intos_) {
      soci::indicator state = soci::i_ok;
      i.from->post_fetch(true, true, i.where.null != nullptr ? &state : nullptr);
      const bool null = state == soci::i_null;
      if (i.where.null != nullptr) *i.where.null = null;
      if (i.as_text == nullptr) continue;
      if (null)
        i.as_text->clear();
      else if (i.encoded)
        i.where.decode(speaks_);
      if (i.where.digits != nullptr) *i.where.digits = null ? 0 : to_number(*i.as_text);
    }
    return true;
  }

 private:
  struct exchanged {
    place where;
    soci::indicator state = soci::i_ok;
  };

  struct cleaning {
    void operator()(soci::details::standard_into_type_backend* from) const {
      from->clean_up();
      delete from;
    }
  };
  // A column of a query. The part of SOCI that knows the database reads it: the part above would go through all columns
  // three times more for each row, to ask how many rows each of them holds.
  struct fetched {
    place where;
    std::string* as_text;  // the value, or the digits of a number that is read as text
    bool encoded;
    std::unique_ptr<soci::details::standard_into_type_backend, cleaning> from = {};
  };

  static number to_number(const std::string& digits) {
    number made = 0;
    const auto end = digits.data() + digits.size();
    if (const auto parsed = std::from_chars(digits.data(), end, made); parsed.ptr != end || parsed.ec != std::errc{})
      throw soci::soci_error{"Null value: not a number"};
    return made;
  }

  // NULL where none is allowed throws: no indicator there.
  void into(place where) {
    std::string* as_text = where.characters;
    if (as_text == nullptr && speaks_.numbers_as_text) as_text = &digits_.emplace_back();
    const bool encoded = where.is_encoded(speaks_);
    intos_.push_back({std::move(where), as_text, encoded});
  }

  const dialect& speaks_;
  storage_counters& counters_;
  std::deque<exchanged> uses_;      // SOCI keeps their addresses
  std::deque<std::string> digits_;  // likewise
  soci::statement statement_;
  std::vector<fetched> intos_;
  bool failed_ = false;
};

// Rows of one kind on their way into one statement: as arrays, or as literals.
template <class C>
class gathered {
 public:
  gathered(soci::session& session, const dialect& speaks, storage_counters& counters)
      : session_{session}, speaks_{speaks}, counters_{counters}, statement_{session} {}
  gathered(const gathered&) = delete;
  gathered& operator=(const gathered&) = delete;

  C values, key;  // the next row

  template <class Values, class Key>
  void prepare(const row_operation& op, Values write, Key compare) {
    operation_ = op;
    write(values, [this](std::string_view name, auto& value) { lists_.push_back({{name, value}, {}}); });
    first_key_ = lists_.size();
    if (compares(operation_.what))
      compare(key, [this](std::string_view name, auto& value) {
        lists_.push_back({{key_name({name, {}}), value}, {}});
      });
    if (speaks_.many == batching::literals) return;
    for (auto& list : lists_) statement_.exchange(soci::use(list.made, list.where.name));
    statement_.alloc();
    statement_.prepare(rows_of_arrays(speaks_, op));
    statement_.define_and_bind();
  }

  void add() {
    const bool literal = speaks_.many == batching::literals, compared = compares(operation_.what);
    const bool aliased = literal && compared && rows_ == 0;
    if (literal)
      literals_ += aliased                   ? "SELECT "
                   : rows_ == 0              ? "("
                   : compared && rows_ == 1  ? " UNION ALL VALUES ("
                                             : ", (";
    for (std::size_t i = 0; i < lists_.size(); ++i) {
      auto& [where, made] = lists_[i];
      if (!where.is_null()) where.encode(speaks_);
      if (!literal) {
        made += rows_ == 0 ? '{' : ',';
        add_element(where, made);
        continue;
      }
      if (i != 0) literals_ += ", ";
      add_literal(where);
      if (!aliased) continue;
      if (i >= first_key_ && where.characters != nullptr) literals_ += speaks_.collation;
      literals_.append(" AS ").append(where.name);
    }
    if (literal && !aliased) literals_.append(operation_.constants).append(")");
    ++rows_;
  }

  long long rows() const { return rows_; }
  // One more row would make the statement longer than servers like.
  bool full() const { return size_ > 1 << 20; }

  // Returns how many rows were written.
  long long execute() {
    ++counters_.statements;
    failed_ = true;
    long long written = 0;
    if (speaks_.many == batching::literals) {
      soci::statement once = (session_.prepare << rows_of_literals(speaks_, operation_, literals_));
      once.execute(true);
      written = once.get_affected_rows();
    } else {
      for (auto& list : lists_) list.made += '}';
      statement_.execute(true);
      written = statement_.get_affected_rows();
    }
    failed_ = false;
    for (auto& list : lists_) list.made.clear();
    literals_.clear();
    rows_ = 0;
    size_ = 0;
    return written;
  }
  bool failed() const { return failed_; }

 private:
  struct list_of_values {
    place where;
    std::string made;
  };

  void add_element(const place& p, std::string& to) {
    const std::size_t before = to.size();
    if (p.is_null())
      to += "NULL";
    else if (p.digits != nullptr)
      to += std::to_string(*p.digits);
    else
      append_element(*p.characters, to);
    size_ += to.size() - before;
  }

  // Hexadecimal digits, unless every character is harmless between quotes.
  void add_literal(const place& p) {
    const auto harmless = [](char c) { return c >= ' ' && c <= '~' && c != '\'' && c != '\\'; };
    const std::size_t before = literals_.size();
    if (p.is_null()) {
      literals_ += "NULL";
    } else if (p.digits != nullptr) {
      literals_ += std::to_string(*p.digits);
    } else if (std::all_of(p.characters->begin(), p.characters->end(), harmless)) {
      literals_.append("'").append(*p.characters).append("'");
    } else {
      literals_ += p.type == column_type::binary ? "_binary x'" : "_utf8mb4 x'";
      append_hex(*p.characters, literals_);
      literals_ += '\'';
    }
    size_ += literals_.size() - before;
  }

  soci::session& session_;
  const dialect& speaks_;
  storage_counters& counters_;
  row_operation operation_{};
  std::deque<list_of_values> lists_;
  std::size_t first_key_ = 0;  // of lists_
  std::string literals_;
  long long rows_ = 0;
  std::size_t size_ = 0;
  bool failed_ = false;
  soci::statement statement_;
};

}  // namespace presence::sql
