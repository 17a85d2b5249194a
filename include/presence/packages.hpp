/// The event packages that come with the library. Each function returns a value to register with
/// engine::add_event; change any field before you do.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <presence/event_package.hpp>

namespace presence {

/// A package whose documents are opaque bytes: any name, any media type (or only those listed),
/// the newest document is the state, nothing is looked into (V20).
event_package opaque_package(std::string name, std::vector<std::string> content_types = {});

struct presence_options {
  /// What several publications make: one document of all their components (CMP-2 to -8); the document
  /// that arrived last alone (CMP-9); the most available one: with an open tuple before without; or the one
  /// that says the most important of `words`. Of equal ones the newest counts (V04).
  enum class composing { merge, newest, most_available, by_word };
  composing several = composing::merge;
  /// For by_word, most important first, e.g. "On the phone", "busy": the text of a note or the name of an
  /// RPID activity, without regard to case. Kamailio: force_presence_single_body.
  std::vector<std::string> words = {};
  /// What is removed or lapses is told once more, its tuples closed (V03); off: it is gone at once.
  bool closes_leaving = false;
  /// Nothing published, or nothing of it to see: a document without tuples, or one closed or open tuple for the presentity (V05).
  enum class unpublished { no_tuples, closed, open };
  unpublished nothing = unpublished::no_tuples;
  /// What ids in views, and deviceIDs that are not granted, are made up with (SEC-PKG-8): unguessable, 16 bytes or more.
  /// Empty: random, so that they change with a restart; engines that share a database need the same.
  std::string id_secret = {};
};

/// `presence` (RFC 3856) with application/pidf+xml (RFC 3863): documents are checked when they are
/// published (400 for what is malformed or hostile), several publications are merged into one
/// document, and nothing published means a document without tuples.
event_package presence_package(presence_options how = {});

struct dialog_options {
  /// What somebody sees who is not the resource himself (DLG-3.6-1): that there is a call and nothing
  /// of it (RFC 4235, SEC-PKG-1), everything, or nothing (403).
  enum class shown { virtual_dialog, everything, nothing };
  shown strangers = shown::virtual_dialog;
  bool single_dialog = false;  ///< only the most interesting: early, confirmed, proceeding, trying, ended (V10)
  bool partial = false;        ///< changes are told by partial documents (DLG-3.3-3); off: always full ones
  bool session_descriptions = false;  ///< passed on; off: dropped (DLG-4.1-4)
  /// Who sees everything and chooses nothing is not shown dialogs with his own Contact as the remote target (DLG-3.3-2).
  /// Makes a document for each Contact that watches, of which there may be 256 for a resource.
  bool leaves_out_own = false;
};

/// `dialog` (RFC 4235) with application/dialog-info+xml, for busy-lamp fields: the dialogs of all
/// publications in one document; of one dialog that several report the newest word counts, an end is
/// final and told once, and dialogs of a publication that lapses end with it. 400 for what is no
/// dialog-info. Event parameters choose dialogs, and a subscription to one ends with it (DLG-3.2-1, DLG-3.4-1).
/// Replace `authorize` for a policy of your own; a null view shows everything.
event_package dialog_package(dialog_options how = {});

struct dialog_sla_options {
  /// What somebody sees who does not share the line, as for `dialog` (SEC-PKG-1).
  dialog_options::shown strangers = dialog_options::shown::virtual_dialog;
  /// Who shares a line without proving its address: its phones that have accounts of their own. Absent: nobody.
  std::function<bool(std::string_view line, const identity& who)> shares = {};
  bool session_descriptions = false;  ///< passed on; off: dropped (DLG-4.1-4)
  /// The remote target, a Contact that a phone which takes the call over would call directly, is replaced by
  /// the remote identity, if there is one (V12). OpenSIPS: bla_fix_remote_target.
  bool remote_target_is_identity = false;
};

/// `dialog;sla`, bridged line appearance: the newest document with a live dialog, or else the newest, under one entity tag,
/// numbered per watcher; the phone it came from is not told its own word (P03, P40, S26; BLA rows). It is shown to who
/// proves the line's address or shares it; replace `authorize` for a policy of your own.
event_package dialog_sla_package(dialog_sla_options how = {});

struct message_summary_options {
  /// What several publications make: the newest alone, or the messages of all accounts together (V08).
  enum class combining { latest, sum };
  combining several = combining::latest;
  bool empty_when_unknown = false;  ///< nothing published: no body instead of "Messages-Waiting: no" (MWI-3.7-2)
  bool cap_counts = false;          ///< a count above 2^32-1 is read as that, instead of answered 400
  /// Headers of single messages (senders, subjects) are passed on, once (MWI-3.5-3), to who proved to be the
  /// mailbox's owner; others see counts (SEC-PKG-4). Sets req_auth, authorize and authorize_body. Off: dropped.
  bool message_headers = false;
  bool owner_only = false;  ///< who did not prove to be the mailbox's owner is refused (403; MWI-3.6-1)
  /// The account behind an address that is only another name for it, or for several; empty: the address is the
  /// account. Told as Message-Account where a summary names none (MWI-3.5-2). Its answer for an address stays.
  std::function<std::string(std::string_view resource)> account = {};
};

/// `message-summary` (RFC 3842) with application/simple-message-summary: read leniently (case, blanks,
/// LF, folding, any class), at most 16 KiB, 64 summary lines and 512 bytes a line; 400 for what is not
/// a summary. Written with CRLF, classes as published.
event_package message_summary_package(message_summary_options how = {});

/// Watcher information (RFC 3857, 3858) about the package `watched`: `presence.winfo` for `presence`.
/// Subscribed to, never published; only who proved to be the resource's owner is let in, unless you
/// change `authorize` (W06). event_package::winfo registers it as it is. Changes are told in partial documents
/// unless you set `difference_only` to false: then by full ones, with the next advance() (WIN-4.7-1).
/// `presence.winfo` has watchers, too: set `winfo`, or register watcherinfo_package("presence.winfo") (W07).
/// `self_view`: whoever else proved who he is is let in, too, and sees his own subscriptions alone (WIN-4.6-2); so does
/// whomever an `authorize` of yours gives a view, whatever view.
event_package watcherinfo_package(std::string watched, bool self_view = false);

}  // namespace presence
