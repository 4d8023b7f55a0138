"""Attacks by hostile peers, and the tests that run them against the real service, beside a client that is served.

The words before a colon name the file, tests/hostile/test_*.py. In brackets: the effect on a plain
`trio_websocket.serve_websocket` over TLS, its handler catching `ConnectionClosed` (tried by hand, version 0.12.2).
"ends": an exception left the connection and ended the service. "grows": memory without a bound.
"goes on": nothing slows it or cuts it off. "lives": other clients were served. No brackets: not tried, or specific to
our protocol.

heads:
  bytes over 0x7f in Host, malformed `xn--` host, `Connection: Upgrade, \\xff` [ends]
    test_no_head_stops_the_service
  malformed request, then RST [ends]
    test_a_malformed_request_and_then_a_reset_disturbs_nobody
  slow-drip head
    test_a_head_that_drips_in_is_cut_off_in_time
  100 kB head [lives]
    test_a_head_of_100_kb_is_refused_and_the_peer_learns_why
  pipelined requests [lives]
    test_of_pipelined_requests_the_first_is_answered_and_the_rest_are_not
  bodies that are requests, in every length that two parties may read differently
    test_no_body_is_ever_read_as_a_request (tests/server/test_keep_alive.py)
  heads that two parties may read differently
    test_a_head_that_another_party_may_read_otherwise_ends_its_connection (tests/server/test_keep_alive.py)
  requests behind an upgrade [lives]
    test_requests_behind_an_upgrade_are_no_frames_and_end_it
  plain HTTP on the TLS port [lives]
    test_plain_http_on_the_tls_port_gets_one_short_answer_and_no_more
  anything else on the TLS port that is no TLS
    test_what_is_no_tls_on_the_tls_port_is_closed_without_a_word_of_http

tls:
  TLS 1.0 and 1.1
    test_tls_before_1_2_is_refused_by_the_server
  suites without forward secrecy
    test_a_suite_without_forward_secrecy_is_refused_by_the_server
  aborted handshakes by the thousand [a single one: lives]
    test_handshakes_aborted_by_the_thousand_leave_nothing_behind
  damaged handshakes
    test_handshakes_that_fail_by_the_hundred_leave_nothing_behind
  KeyUpdates without end, which bring no plain text
    test_key_updates_without_end_are_read_at_the_rate_that_is_allowed
  KeyUpdates between requests
    test_key_updates_among_requests_are_charged_like_requests

frames:
  unmasked frames [lives]
    test_an_unmasked_frame_ends_its_connection
  reserved bits [lives]
    test_a_reserved_bit_ends_its_connection
  reserved opcodes [lives]
    test_each_reserved_opcode_ends_its_connection
  control frames over 125 bytes [lives]
    test_a_control_frame_of_more_than_125_bytes_ends_its_connection
  control frames in fragments [lives]
    test_a_control_frame_in_fragments_ends_its_connection
  invalid UTF-8 in text [lives]
    test_text_that_is_no_utf_8_ends_its_connection
  invalid UTF-8 in a close reason [lives]
    test_a_close_reason_that_is_no_utf_8_ends_its_connection
  invalid close codes [lives]
    test_a_close_code_that_may_not_be_ends_its_connection
  ping after the client's close [lives]
    test_nothing_is_answered_behind_a_close
  ping after the server's close [ends]
    test_a_ping_behind_the_servers_own_close_is_not_answered
  two over-size messages in one read [ends]
    test_over_size_messages_in_one_read_get_one_error_and_one_close
  lengths that no message may have
    test_a_length_that_no_message_may_have_is_not_waited_for

floods:
  ping flood [goes on]
    test_a_flood_of_pings_is_answered_at_the_rate_that_is_allowed
  ping flood, pongs never read [goes on]
    test_a_flood_of_pings_whose_pongs_are_never_read_waits_at_its_sender
  unasked pongs, endless empty fragments [goes on, grows]
    test_a_flood_that_never_makes_a_message_ends_with_close_1009
  the same with pings between
    test_pings_between_endless_fragments_do_not_keep_them_going
  pings alone, which are allowed
    test_pings_alone_never_make_too_much
  and solicited pongs, which are allowed
    test_a_client_that_only_listens_and_answers_pings_stays
  requests without end
    test_a_flood_of_messages_waits_at_its_sender
  requests faster than is allowed
    test_a_flood_of_requests_is_answered_at_the_rate_that_is_allowed
  10^5 subscribes over many requests
    test_a_hundred_thousand_names_over_many_requests_are_taken_to_the_limit
  10^5 subscribes in one request
    test_a_hundred_thousand_names_in_one_request_are_refused_whole
  the same name 10^5 times
    test_one_name_over_and_over_is_one_name
  patterns that are hard to match
    test_patterns_that_are_hard_to_match_hold_nobody_up
  a connection that never reads
    test_a_client_that_never_reads_costs_a_frame_and_holds_nobody_up

cost:
  32 patterns over many instruments, over and over
    test_patterns_over_many_instruments_hold_nobody_up_and_are_paid_for
  another interval of everything, over and over
    test_another_interval_of_everything_moves_nobody_else_and_costs_little
  other fields of everything, over and over
    test_other_fields_of_everything_over_and_over_are_paid_for
  as many sets of fields as there may be, of patterns that overlap
    test_overlapping_patterns_with_other_fields_each_hold_nobody_up
  the same costly requests over new connections
    test_a_client_that_comes_again_has_no_fresh_allowance
  pages of everything over HTTP
    test_pages_of_many_patterns_are_paid_for
  subscriptions beyond the memory of a client
    test_a_client_that_makes_the_service_keep_too_much_is_dropped
  subscriptions of many clients beyond the memory of an address
    test_many_clients_of_one_address_cannot_make_the_service_keep_more_than_its_limit
  a connection that never reads, of everything
    test_a_client_that_does_not_read_is_dropped_where_its_rest_is_too_much
  instruments that appear while many patterns are subscribed
    test_instruments_that_appear_against_many_patterns_hold_nobody_up
  clients that leave in the middle of a request's steps
    test_of_clients_that_leave_in_the_middle_of_a_step_nothing_is_kept

tables:
  every table of every instrument, over many connections of an address
    test_a_sender_has_its_share_of_the_tables_and_leaves_others_theirs
  thousands of depths, counts and periods that there are not
    test_thousands_of_tables_that_there_are_not_open_nothing
  tables of thousands of unknown symbols
    test_tables_of_thousands_of_unknown_symbols_are_taken_to_the_limit
  a resume that names and forgets thousands of them
    test_a_resume_may_name_and_forget_thousands_of_tables_that_there_are_not
  a resume that forgets thousands of patterns
    test_a_resume_that_forgets_patterns_without_end_is_refused_whole
  checksums of everything
    test_checksums_over_and_over_are_paid_for
  large tables, over and over
    test_large_tables_over_and_over_are_paid_for
  the same as texts with names
    test_large_tables_in_texts_are_paid_for
  pages of tables: numbers beyond all measure, keys twice, unknown or by the thousand, texts that are no names
    test_an_odd_request_for_a_page_of_a_table_is_refused_in_brief
  large pages of tables, over and over
    test_a_flood_of_pages_of_many_rows_is_paid_for
  pages of tables of many instruments
    test_pages_of_tables_of_many_symbols_leave_nothing_open

events:
  fields, formats, intervals and symbols that cannot be, or would end an event
    test_an_odd_request_for_events_is_refused_in_brief
  ids of events that were never sent
    test_with_any_last_event_id_everything_comes
  bytes without end behind the request
    test_bytes_without_end_behind_a_request_for_events_end_it

messages:
  msgpack: nesting, width, lengths that lie, extensions
    test_a_bomb_of_msgpack_is_refused_and_ends_its_connection
  the memory that lying lengths ask for
    test_lengths_that_lie_take_no_memory
  msgpack: keys that are no texts, huge integers, NaN
    test_a_lie_in_msgpack_is_named_and_the_conversation_goes_on
  JSON: nesting, numbers beyond all measure, NaN
    test_a_bomb_of_json_is_refused_and_ends_its_connection
  JSON: width, fractions, wrong types
    test_a_lie_in_json_is_named_and_the_conversation_goes_on
  duplicate keys
    test_of_a_key_given_twice_the_last_one_counts
  bombs of megabytes, where these are allowed
    test_a_bomb_that_an_operator_leaves_room_for_is_refused_too
  wrong types of `op`
    test_an_op_of_the_wrong_type_is_a_bad_request
  unknown `op`
    test_an_op_that_there_is_not_is_named_in_brief

tokens:
  `alg: none`, HS256 with the public key, expired, claims that are null, wrong audience, key, issuer
    test_a_token_that_is_not_the_issuers_lets_nobody_in
  the same in an `auth` request
    test_a_token_that_is_not_the_issuers_renews_nothing
  token in the query string
    test_a_token_in_the_query_is_not_taken

proxies:
  malformed, endless and missing headers of the PROXY protocol
    test_a_malformed_header_of_a_proxy_ends_its_connection_at_once
  the same, byte by byte
    test_a_header_of_a_proxy_that_drips_in_is_cut_off_in_time
  connections of proxies that end in the middle of their headers
    test_headers_of_proxies_by_the_thousand_leave_nothing_behind
  headers of proxies from elsewhere
    test_a_client_that_claims_addresses_has_no_more_places
  addresses, and what is none, in front of the one that a proxy appends
    test_what_a_client_writes_before_its_proxy_does_not_move_its_address

followers:
  bytes, texts and numbers that are no request, messages that never end
    test_what_is_no_request_ends_its_connection_and_no_other
  entries and keyframes, forged
    test_nothing_can_be_written
  a read that waits for ever
    test_a_read_that_waits_for_ever_holds_nobody_up
  a follower that takes no answer
    test_one_that_takes_no_answer_is_dropped_and_others_have_theirs
  one that asks for nothing
    test_one_that_asks_for_nothing_is_dropped
  answers beyond the memory of a client
    test_an_answer_that_needs_too_much_memory_is_not_given
  requests without end
    test_requests_without_end_are_answered_at_the_rate_that_is_allowed
  followers without end
    test_there_are_so_many_places_for_followers_and_one_that_leaves_frees_its_own
  resets in the middle of requests and answers
    test_one_that_leaves_at_any_moment_leaves_nothing_behind
  pages of other origins, and clients that speak as followers
    test_a_page_of_another_origin_may_not_follow_and_a_client_may_not_speak_so

feeds:
  a page in a browser that POSTs lines to the port of a `jsonl` feed
    test_a_page_that_posts_to_the_port_of_a_feed_publishes_nothing
  terminal sequences and forged entries of the log in lines that a feed's programs send
    test_what_a_program_sends_is_only_text_in_the_log
"""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
FILES = (
    "heads",
    "tls",
    "frames",
    "floods",
    "cost",
    "tables",
    "events",
    "messages",
    "tokens",
    "proxies",
    "followers",
    "feeds",
)
NOT_ATTACKS = {
    "test_what_comes_with_a_head_counts_as_much_as_what_comes_behind_it",
    "test_the_same_token_where_it_belongs_is_taken",
}
"""Tests of the allowed case beside an attack."""


def listed() -> dict[str, set[str]]:
    """Return the tests of the list above, by file."""
    parts = re.split(r"^([a-z]+):$", __doc__ or "", flags=re.MULTILINE)
    return {
        file: set(re.findall(r"^    (test_\w+)$", part, re.MULTILINE))
        for file, part in zip(parts[1::2], parts[2::2], strict=True)
    }


def written() -> dict[str, set[str]]:
    """Return the tests defined in the files, by file."""
    texts = {file: (HERE / f"test_{file}.py").read_text(encoding="utf-8") for file in FILES}
    return {
        file: set(re.findall(r"^(?:async )?def (test_\w+)", text, re.MULTILINE)) - NOT_ATTACKS
        for file, text in texts.items()
    }


def test_the_list_names_the_hostile_tests_that_there_are_and_no_others() -> None:
    assert listed() == written()
