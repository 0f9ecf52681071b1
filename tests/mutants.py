"""The faults that engines have shown, each as a patch of ours, and the test that kills it."""

from __future__ import annotations

from mutant_kit import Mutant

MUTANTS = (
    # --- Requests that become void ------------------------------------------------------------
    Mutant(
        "requests of a departed peer are not cleared",
        "the plan's own stall; scenario 1",
        "torrent_core.pieces.manager",
        "        void = self.clear_requests_for_peer(ordinal)\n        self.unclaim(requests)\n",
        "        void = []\n        self.unclaim(requests)\n",
        "test_scenarios_links.py::"
        "test_scenario_01_what_a_lost_link_was_asked_is_asked_of_others_in_the_same_step",
    ),
    Mutant(
        "blocks that come free wake nobody",
        "lesson 7; scenario 1",
        "torrent_core.pieces.releases",
        "        if void or started_over:\n",
        "        if started_over:\n",
        "test_scenarios_links.py::"
        "test_scenario_01_what_a_lost_link_was_asked_is_asked_of_others_in_the_same_step",
    ),
    Mutant(
        "a choke without BEP 6 frees no request",
        "lesson 6; scenario 11",
        "torrent_core.pieces.scheduler",
        "void = [] if link.state.fast else "
        "self.active.clear_requests_for_peer(link.state.ordinal)\n",
        "void = []\n",
        "test_scenarios_links.py::"
        "test_scenario_11_the_owner_chokes_at_half_with_only_idle_peers_left",
    ),
    Mutant(
        "a choke with BEP 6 frees requests at once",
        "lesson 6; scenario 4",
        "torrent_core.pieces.scheduler",
        "void = [] if link.state.fast else "
        "self.active.clear_requests_for_peer(link.state.ordinal)\n",
        "void = self.active.clear_requests_for_peer(link.state.ordinal)\n",
        "test_torrent_peers.py::"
        "test_choke_with_the_fast_extension_leaves_requests_to_be_answered",
    ),
    Mutant(
        "a REJECT settles no request",
        "lesson 6; scenario 31",
        "torrent_core.pieces.scheduler",
        "        self.active.forget(info)\n        # A REJECT",
        "        # A REJECT",
        "test_scenarios_links.py::"
        "test_scenario_31_a_peer_that_never_answers_one_block_leaves_it_to_another",
    ),
    Mutant(
        "a REJECT is followed by no backoff",
        "scenario 31",
        "torrent_core.pieces.scheduler",
        "            self._refusals.rejected(link, index, now)\n",
        "            pass\n",
        "test_pieces_release.py::"
        "test_a_peer_that_rejects_for_ever_is_not_asked_in_a_loop_at_one_instant",
    ),
    # --- Lateness -----------------------------------------------------------------------------
    Mutant(
        "a timeout frees no block",
        "lesson 7; scenario 5",
        "torrent_core.pieces.lateness",
        "            self._active.withdraw(info)\n            if cause",
        "            if cause",
        "test_scenarios_links.py::"
        "test_scenario_05_every_request_times_out_and_is_asked_again_at_the_deadline_given",
    ),
    Mutant(
        "a timeout sends no CANCEL",
        "lesson 7; scenario 5",
        "torrent_core.pieces.lateness",
        "        return self._releases.released(link, cause, void, cancel=True)\n",
        "        return self._releases.released(link, cause, void, cancel=False)\n",
        "test_torrent_peers.py::"
        "test_requests_that_time_out_are_asked_again_at_the_deadline_that_was_given",
    ),
    Mutant(
        "the machine's deadline forgets requests",
        "scenario 5",
        "torrent_core.pieces.scheduler",
        '            (self.active.next_timeout(), "a request is late"),\n',
        "",
        "test_scenarios_links.py::"
        "test_scenario_05_every_request_times_out_and_is_asked_again_at_the_deadline_given",
    ),
    Mutant(
        "a request times out after ten seconds, whatever is queued before it",
        "lesson 9",
        "torrent_core.pieces.requests",
        "first = max(self._last_deadline, now + len(self.out) * each + slack)\n",
        "each, first = 0.0, max(self._last_deadline, now + 10.0)\n",
        "test_pieces_release.py::"
        "test_a_slow_but_steady_link_loses_only_the_request_that_is_overdue",
    ),
    Mutant(
        "every delivery puts the deadlines of other requests off",
        "lesson 9",
        "torrent_core.pieces.requests",
        "        self.arrived += 1\n\n",
        "        self.arrived += 1\n"
        "        for info in self.out.values():\n"
        "            info.deadline = max(info.deadline, now + 30.0)\n\n",
        "test_pieces_release.py::"
        "test_a_slow_but_steady_link_loses_only_the_request_that_is_overdue",
    ),
    Mutant(
        "a quick link is called silent before the floor of two seconds",
        "lesson 9; scenario 27",
        "torrent_core.pieces.pace",
        "min(max(self._mean + 4 * self._deviation, LATENESS_FLOOR), ceiling)",
        "min(self._mean + 4 * self._deviation, ceiling)",
        "test_scenarios_links.py::"
        "test_scenario_27_silent_after_one_quick_block_and_back_within_the_timeout",
    ),
    Mutant(
        "a snub frees one block only",
        "lesson 10; seen in libtorrent",
        "torrent_core.pieces.lateness",
        "            void = list(link.out.values())\n",
        "            void = list(link.out.values())[:1]\n",
        "test_scenarios_links.py::"
        "test_scenario_05_every_request_times_out_and_is_asked_again_at_the_deadline_given",
    ),
    Mutant(
        "a snubbed link never recovers",
        "lesson 10; scenario 27",
        "torrent_core.pieces.lateness",
        "            link.snubbed = False\n",
        "",
        "test_scenarios_links.py::"
        "test_scenario_27_silent_after_one_quick_block_and_back_within_the_timeout",
    ),
    Mutant(
        "a probe counts as a holder of its block",
        "lesson 10",
        "torrent_core.pieces.active",
        "sum(not info.probe for info in self.requests.get(block, ()))",
        "len(self.requests.get(block, ()))",
        "test_pieces_endgame.py::test_probes_do_not_count_as_holders",
    ),
    Mutant(
        "a request that is passed over again and again is never given up",
        "lesson 9; scenario 31",
        "torrent_core.pieces.lateness",
        "        if oldest.overtaken < OVERTAKEN_LIMIT or not passed_over:\n",
        "        if oldest.overtaken:\n",
        "test_torrent_peers.py::test_a_request_passed_over_often_and_for_long_is_lost",
    ),
    Mutant(
        "a sleep of the computer is held against the peers",
        "scenario 30",
        "torrent_core.torrent.torrent",
        "            self.postpone(late)\n",
        "            late = 0.0\n",
        "test_scenarios_links.py::"
        "test_scenario_30_an_hour_of_sleep_drops_no_link_and_the_download_goes_on",
    ),
    # --- Depth --------------------------------------------------------------------------------
    Mutant(
        "an absurd reqq is believed",
        "lesson 11; scenario 26",
        "torrent_core.wire.extended",
        'reqq=_integer(fields.get(b"reqq"), MAX_REQQ)',
        'reqq=fields.get(b"reqq")',
        "test_scenarios_links.py::"
        "test_scenario_26_what_a_peer_queues_only_lowers_the_depth",
    ),
    Mutant(
        "the reqq of a peer is ignored",
        "lesson 11; scenario 26",
        "torrent_core.pieces.pace",
        "return depth if reqq is None else min(depth, reqq)",
        "return depth",
        "test_scenarios_links.py::"
        "test_scenario_26_what_a_peer_queues_only_lowers_the_depth",
    ),
    Mutant(
        "an UNCHOKE wakes nobody",
        "scenario 4",
        "torrent_core.torrent.downloads",
        "        self._context.scheduler.touch(link.requests)\n\n    def rejected",
        "        return\n\n    def rejected",
        "test_scenarios_links.py::test_scenario_04_choke_and_unchoke_ten_times_fast",
    ),
    Mutant(
        "a HAVE wakes nobody",
        "design, section 3",
        "torrent_core.pieces.scheduler",
        "        self.touch(link)\n\n    def choked",
        "\n    def choked",
        "test_pieces_order.py::test_a_link_that_gains_a_piece_is_asked_at_once",
    ),
    Mutant(
        "nothing is asked for in the step in which a piece completes",
        "lesson 12",
        "torrent_core.pieces.arrivals",
        "            if is_first:\n                is_first = False\n",
        "            if is_first and outcome.completed is None:\n                is_first = False\n",
        "test_pieces_order.py::test_hashing_that_takes_its_time_does_not_drain_the_pipe",
    ),
    # --- Pieces -------------------------------------------------------------------------------
    Mutant(
        "the soft cap on pieces leaves a link idle",
        "lesson 1; scenario 3",
        "torrent_core.pieces.asking",
        "        if piece is None:\n            piece = self._open(link, usable, now)\n"
        "        if piece is not None:\n",
        "        if piece is not None:\n",
        "test_torrent_peers.py::test_blocks_spread_over_more_pieces_than_any_cap",
    ),
    Mutant(
        "the soft cap counts pieces that are fully asked for",
        "lesson 1",
        "torrent_core.pieces.asking",
        "        elif active.open.bit_count() < self._soft_cap():\n",
        "        elif active.active_count < self._soft_cap():\n",
        "test_pieces_order.py::"
        "test_a_piece_that_is_all_asked_for_does_not_count_against_the_cap",
    ),
    Mutant(
        "a piece belongs to the link that began it",
        "lesson 14",
        "torrent_core.pieces.asking",
        "        if piece is None and begun:\n            piece = active.get(lowest(begun))\n",
        "",
        "test_pieces_order.py::test_whoever_has_what_all_that_somebody_has_is_fetched_once",
    ),
    Mutant(
        "an abandoned piece is no candidate again",
        "lesson 15; scenario 23",
        "torrent_core.pieces.picker",
        "            self.candidates |= bit\n",
        "            pass\n",
        "test_torrent_wants.py::"
        "test_what_is_no_longer_wanted_is_cancelled_and_all_can_fetch_it_later",
    ),
    Mutant(
        "pieces that bring nothing for a while are dropped",
        "lessons 4, 13",
        "torrent_core.pieces.scheduler",
        "        released = []\n        for link in self.active.check_timeouts(now):\n",
        "        released = []\n"
        "        for piece in self.active.active_pieces:\n"
        "            if not piece.requests and now >= piece.last_activity + 30.0:\n"
        "                self.abandon(piece.index)\n"
        "        for link in self.active.check_timeouts(now):\n",
        "test_memory.py::test_pieces_that_nobody_can_finish_are_written_and_give_their_memory_up",
    ),
    Mutant(
        "a link that leaves is taken out of availability twice",
        "lesson 22; scenario 21",
        "torrent_core.pieces.availability",
        "            self._seeds.remove(link)\n        else:\n",
        "            self._seeds.remove(link)\n        if pieces:\n",
        "test_scenarios_rest.py::test_scenario_21_error_and_close_of_one_link_count_once",
    ),
    # --- End-game -----------------------------------------------------------------------------
    Mutant(
        "end-game never begins when files are skipped",
        "lesson 17; scenario 14",
        "torrent_core.pieces.asking",
        "        usable &= ~self._parole.everything\n",
        "        usable &= ~self._parole.everything\n"
        "        if self._picker.wanted != self._picker.availability._all:\n"
        "            return []\n",
        "test_scenarios_finish.py::"
        "test_scenario_14_the_last_blocks_of_a_slow_peer_are_asked_of_a_quick_one",
    ),
    Mutant(
        "end-game never begins while a piece is hashed or written",
        "lesson 17; scenario 14",
        "torrent_core.pieces.asking",
        "        usable &= ~self._parole.everything\n",
        "        usable &= ~self._parole.everything\n"
        "        if any(piece.have_all_blocks for piece in self._active.active_pieces):\n"
        "            return []\n",
        "test_pieces_endgame.py::test_a_link_that_gets_idle_takes_the_last_blocks_in_that_step",
    ),
    Mutant(
        "no CANCEL goes out when a block comes that others were asked for",
        "lesson 18; scenario 14",
        "torrent_core.torrent.downloads",
        "        for other in outcome.duplicates:\n",
        "        for other in ():\n",
        "test_scenarios_finish.py::"
        "test_scenario_14_the_last_blocks_of_a_slow_peer_are_asked_of_a_quick_one",
    ),
    Mutant(
        "a block is asked of any number of links",
        "lesson 18",
        "torrent_core.pieces.endgame",
        " or piece.holders(info.block) >= MAX_BLOCK_HOLDERS:\n",
        ":\n",
        "test_pieces_endgame.py::test_a_block_goes_to_so_many_links_and_no_further",
    ),
    # --- Blocks -------------------------------------------------------------------------------
    Mutant(
        "a late block counts as one that nobody asked for",
        "lesson 8; scenario 15",
        "torrent_core.pieces.ledger",
        "        self._note(key, self.owed(key) + 1)\n",
        "        pass\n",
        "test_scenarios_blocks.py::"
        "test_scenario_15_a_late_block_is_taken_once_and_the_books_are_exact",
    ),
    Mutant(
        "a block that nobody asked for is taken in",
        "lesson 19; scenario 16",
        "torrent_core.pieces.unasked",
        "        piece = self._active.get(index) if key in link.withdrawn else None\n",
        "        piece = self._active.get(index)\n",
        "test_pieces_blocks.py::"
        "test_a_block_that_is_not_exactly_what_was_asked_changes_nothing",
    ),
    Mutant(
        "a duplicate while a piece is hashed completes it twice",
        "lesson 20; scenario 15",
        "torrent_core.pieces.unasked",
        " or piece.stage is not Stage.DOWNLOADING or begin % BLOCK_SIZE:\n"
        "            return None\n"
        "        block = begin // BLOCK_SIZE\n"
        "        if piece.has_block(block) or ",
        " or begin % BLOCK_SIZE:\n"
        "            return None\n"
        "        block = begin // BLOCK_SIZE\n"
        "        if ",
        "test_scenarios_blocks.py::"
        "test_scenario_15_a_duplicate_while_hashing_is_one_hash_and_one_write",
    ),
    # --- Blame --------------------------------------------------------------------------------
    Mutant(
        "the sole contributor of a bad piece is not banned",
        "lesson 21; scenario 17",
        "torrent_core.torrent.blaming",
        "        culprit = suspects.pop() if len(suspects) == 1 and not piece.stored else None\n",
        "        culprit = None\n",
        "test_torrent_blocks.py::"
        "test_a_sole_contributor_of_a_bad_piece_is_banned_and_not_let_in_again",
    ),
    Mutant(
        "a peer is banned for a piece that others sent as well",
        "lesson 21; scenario 17",
        "torrent_core.torrent.blaming",
        "        culprit = suspects.pop() if len(suspects) == 1 and not piece.stored else None\n",
        "        culprit = next(iter(contributors.values()), None)\n",
        "test_torrent_blame.py::"
        "test_one_corrupter_among_honest_peers_is_banned_after_few_failures",
    ),
    Mutant(
        "a peer is banned for what a disk has spoiled",
        "lesson 21",
        "torrent_core.torrent.blaming",
        "if len(suspects) == 1 and not piece.stored else None",
        "if len(suspects) == 1 else None",
        "test_torrent_blame.py::test_a_disk_that_corrupts_gets_nobody_banned",
    ),
    Mutant(
        "a piece that several spoiled is fetched from several again",
        "lesson 21; scenario 17",
        "torrent_core.torrent.blaming",
        "        context.scheduler.parole.sentence(piece.index)\n",
        "",
        "test_torrent_blocks.py::"
        "test_with_several_contributors_the_piece_is_fetched_from_one_link_at_a_time",
    ),
    # --- Memory and storage -------------------------------------------------------------------
    Mutant(
        "memory that comes free wakes nobody",
        "lesson 2; scenario 6",
        "torrent_core.torrent.finishing",
        "        context.scheduler.touch_hungry()  # memory came free\n",
        "",
        "test_torrent_download.py::"
        "test_slow_hashing_and_a_stalled_disk_bound_the_backlog_and_lose_nothing",
    ),
    Mutant(
        "blocks that give way are dropped instead of written",
        "lesson 2; scenario 3",
        "torrent_core.torrent.writing",
        "        freed = context.active.free_spent(piece, blocks)\n"
        "        unsaved = blocks & piece.unsaved\n",
        "        piece.discard(blocks & piece.unsaved)\n"
        "        freed = context.active.free_spent(piece, blocks)\n"
        "        unsaved = 0\n",
        "test_memory.py::test_pieces_that_nobody_can_finish_are_written_and_give_their_memory_up",
    ),
    Mutant(
        "hashes and writes out have no bound",
        "lesson 12; scenario 6",
        "torrent_core.torrent.backlog",
        "        if lane.out < lane.limit:\n",
        "        if lane.limit:\n",
        "test_memory.py::test_hashes_and_writes_out_are_bounded_and_the_rest_waits_in_order",
    ),
    Mutant(
        "a piece whose write fails is forgotten",
        "scenario 28",
        "torrent_core.torrent.backlog",
        "            self._failed[self._serial] = task\n"
        "            context.timers.set((RETRY, self._serial), retry_at)\n",
        "",
        "test_torrent_storage.py::test_a_full_disk_is_tried_ever_more_seldom_and_recovers",
    ),
    Mutant(
        "a piece is announced before it is written",
        "scenario 28",
        "torrent_core.torrent.finishing",
        "        self._writing.store(piece, piece.all_blocks)\n",
        "        self._writing.store(piece, piece.all_blocks)\n"
        "        self._on_verified(piece.index)\n",
        "test_torrent_storage.py::test_a_full_disk_is_tried_ever_more_seldom_and_recovers",
    ),
    Mutant(
        "a restart forgets the blocks of pieces half done",
        "scenario 2",
        "torrent_core.torrent.saving",
        "            partial=tuple(sorted(stored)),\n",
        "            partial=(),\n",
        "test_torrent_restart.py::test_a_stop_keeps_the_blocks_of_pieces_half_done",
    ),
    # --- Links --------------------------------------------------------------------------------
    Mutant(
        "a handshake may take for ever",
        "scenario 25",
        "torrent_core.link",
        "if self._life.phase is Phase.HANDSHAKE and now >= self._since + HANDSHAKE_TIMEOUT:",
        "if self._life.phase is Phase.CLOSED and now >= self._since + HANDSHAKE_TIMEOUT:",
        "test_scenarios_rest.py::test_scenario_25_the_clocks_of_a_link_are_exact",
    ),
    Mutant(
        "a link may be idle for ever",
        "scenario 25",
        "torrent_core.peer.connection",
        "        idle = self._heard + IDLE_TIMEOUT\n",
        '        idle = float("inf")\n',
        "test_scenarios_rest.py::test_scenario_25_the_clocks_of_a_link_are_exact",
    ),
    Mutant(
        "a peer that does not answer is dialled again without backoff",
        "design, section 2",
        "torrent_core.candidates.dialbook",
        "            self._candidates.remove(candidate.address)\n            return\n        pause = ",
        "            self._candidates.remove(candidate.address)\n            return\n"
        "        pause = 0.0 * ",
        "test_torrent_links.py::test_a_peer_that_does_not_answer_is_dialled_ever_more_seldom",
    ),
)
"""Every fault on the list is noticed by the test that it names."""
