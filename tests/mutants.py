"""The faults that engines have shown, each as a patch of ours, and the test that kills it."""

from __future__ import annotations

from mutant_kit import Mutant

MUTANTS = (
    # --- Requests that become void ------------------------------------------------------------
    Mutant(
        "requests of a departed peer are not cleared",
        "the stall that began it all; scenario 1",
        "torrent_core.pieces.manager",
        "        void = self.clear_requests_for_peer(ordinal)\n        self.unclaim(requests)\n",
        "        return []\n",
        "test_scenarios_links.py::"
        "test_scenario_01_what_a_lost_link_was_asked_is_asked_of_others_in_the_same_step",
    ),
    Mutant(
        "blocks that come free wake nobody",
        "a timeout frees, cancels and asks again in one step; scenario 1",
        "torrent_core.pieces.releases",
        "        if void or started_over:\n",
        "        if started_over:\n",
        "test_scenarios_links.py::"
        "test_scenario_01_what_a_lost_link_was_asked_is_asked_of_others_in_the_same_step",
    ),
    Mutant(
        "a choke without BEP 6 frees no request",
        "a request ends in exactly one way; scenario 11",
        "torrent_core.pieces.scheduler",
        "void = [] if link.state.fast else "
        "self.active.clear_requests_for_peer(link.state.ordinal)\n",
        "void = []\n",
        "test_scenarios_links.py::"
        "test_scenario_11_the_owner_chokes_at_half_with_only_idle_peers_left",
    ),
    Mutant(
        "a choke with BEP 6 frees requests at once",
        "a request ends in exactly one way; scenario 4",
        "torrent_core.pieces.scheduler",
        "void = [] if link.state.fast else "
        "self.active.clear_requests_for_peer(link.state.ordinal)\n",
        "void = self.active.clear_requests_for_peer(link.state.ordinal)\n",
        "test_torrent_peers.py::test_choke_with_the_fast_extension_leaves_requests_to_be_answered",
    ),
    Mutant(
        "a REJECT settles no request",
        "a request ends in exactly one way; scenario 31",
        "torrent_core.pieces.scheduler",
        "        self.active.forget(info)\n        # A REJECT",
        "        # A REJECT",
        "test_scenarios_links.py::"
        "test_scenario_31_a_peer_that_never_answers_one_block_leaves_it_to_another",
    ),
    Mutant(
        "a REJECT is followed by no backoff",
        "no loop at one instant; scenario 31",
        "torrent_core.pieces.scheduler",
        "            self._refusals.rejected(link, index, now)\n",
        "            pass\n",
        "test_pieces_release.py::"
        "test_a_peer_that_rejects_for_ever_is_not_asked_in_a_loop_at_one_instant",
    ),
    # --- Lateness -----------------------------------------------------------------------------
    Mutant(
        "a timeout frees no block",
        "a timeout frees, cancels and asks again in one step; scenario 5",
        "torrent_core.pieces.lateness",
        "            self._active.withdraw(info)\n            if cause",
        "            if cause",
        "test_scenarios_links.py::"
        "test_scenario_05_every_request_times_out_and_is_asked_again_at_the_deadline_given",
    ),
    Mutant(
        "a timeout sends no CANCEL",
        "a timeout frees, cancels and asks again in one step; scenario 5",
        "torrent_core.pieces.lateness",
        "        return self._releases.released(link, cause, void, cancel=True)\n",
        "        return self._releases.released(link, cause, void, cancel=False)\n",
        "test_torrent_peers.py::"
        "test_requests_that_time_out_are_asked_again_at_the_deadline_that_was_given",
    ),
    Mutant(
        "the machine's deadline forgets requests",
        "no deadline is later than what an account names; scenario 5",
        "torrent_core.pieces.scheduler",
        '            (self.active.next_timeout(), "a request is late"),\n',
        "",
        "test_scenarios_links.py::"
        "test_scenario_05_every_request_times_out_and_is_asked_again_at_the_deadline_given",
    ),
    Mutant(
        "a request times out after ten seconds, whatever is queued before it",
        "each link is judged by its own progress",
        "torrent_core.pieces.requests",
        "first = max(self._last_deadline, now + len(self.out) * each + slack)\n",
        "each, first = 0.0, max(self._last_deadline, now + 10.0)\n",
        "test_pieces_release.py::"
        "test_a_slow_but_steady_link_loses_only_the_request_that_is_overdue",
    ),
    Mutant(
        "every delivery puts the deadlines of other requests off",
        "each link is judged by its own progress",
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
        "each link is judged by its own progress; scenario 27",
        "torrent_core.pieces.pace",
        "min(max(self._mean + 4 * self._deviation, LATENESS_FLOOR), ceiling)",
        "min(self._mean + 4 * self._deviation, ceiling)",
        "test_scenarios_links.py::"
        "test_scenario_27_silent_after_one_quick_block_and_back_within_the_timeout",
    ),
    Mutant(
        "a snub frees one block only",
        "a silent link keeps one probe and nothing else",
        "torrent_core.pieces.lateness",
        "            void = list(link.out.values())\n",
        "            void = list(link.out.values())[:1]\n",
        "test_scenarios_links.py::"
        "test_scenario_05_every_request_times_out_and_is_asked_again_at_the_deadline_given",
    ),
    Mutant(
        "a snubbed link never recovers",
        "a silent link keeps one probe and nothing else; scenario 27",
        "torrent_core.pieces.lateness",
        "            link.snubbed = False\n",
        "",
        "test_scenarios_links.py::"
        "test_scenario_27_silent_after_one_quick_block_and_back_within_the_timeout",
    ),
    Mutant(
        "a probe counts as a holder of its block",
        "a silent link keeps one probe and nothing else",
        "torrent_core.pieces.active",
        "sum(not info.probe for info in self.requests.get(block, ()))",
        "len(self.requests.get(block, ()))",
        "test_pieces_endgame.py::test_probes_do_not_count_as_holders",
    ),
    Mutant(
        "a request that is passed over again and again is never given up",
        "each link is judged by its own progress; scenario 31",
        "torrent_core.pieces.lateness",
        "        if oldest.overtaken < OVERTAKEN_LIMIT or not passed_over:\n",
        "        if oldest.overtaken:\n",
        "test_torrent_peers.py::test_a_request_passed_over_often_and_for_long_is_lost",
    ),
    Mutant(
        "a sleep of the computer is held against the peers",
        "our absence is held against nobody; scenario 30",
        "torrent_core.torrent.machine",
        "            self.postpone(late)\n",
        "            late = 0.0\n",
        "test_scenarios_links.py::"
        "test_scenario_30_an_hour_of_sleep_drops_no_link_and_the_download_goes_on",
    ),
    # --- Depth --------------------------------------------------------------------------------
    Mutant(
        "an absurd reqq is believed",
        "depth follows the rate, and reqq only lowers it; scenario 26",
        "torrent_core.wire.extended",
        'reqq=_integer(fields.get(b"reqq"), MAX_REQQ)',
        'reqq=fields.get(b"reqq")',
        "test_scenarios_links.py::test_scenario_26_what_a_peer_queues_only_lowers_the_depth",
    ),
    Mutant(
        "the reqq of a peer is ignored",
        "depth follows the rate, and reqq only lowers it; scenario 26",
        "torrent_core.pieces.pace",
        "return depth if reqq is None else min(depth, reqq)",
        "return depth",
        "test_scenarios_links.py::test_scenario_26_what_a_peer_queues_only_lowers_the_depth",
    ),
    Mutant(
        "an UNCHOKE wakes nobody",
        "whatever could feed a link wakes it; scenario 4",
        "torrent_core.torrent.downloads",
        "        self._context.scheduler.touch(link.requests)\n\n    def rejected",
        "        return\n\n    def rejected",
        "test_scenarios_links.py::test_scenario_04_choke_and_unchoke_ten_times_fast",
    ),
    Mutant(
        "a HAVE wakes nobody",
        "whatever could feed a link wakes it",
        "torrent_core.pieces.scheduler",
        "            self.touch(link)\n\n    def choked",
        "            pass\n\n    def choked",
        "test_pieces_order.py::test_a_link_that_gains_a_piece_is_asked_at_once",
    ),
    Mutant(
        "nothing is asked for in the step in which a piece completes",
        "hashing and disk do not drain the pipe",
        "torrent_core.pieces.arrivals",
        "        if fresh:\n            self._asking.touch(link)\n        if piece.received",
        "        if fresh and piece.received | piece.free != piece.all_blocks:\n"
        "            self._asking.touch(link)\n        if piece.received",
        "test_pieces_order.py::test_hashing_that_takes_its_time_does_not_drain_the_pipe",
    ),
    # --- Pieces -------------------------------------------------------------------------------
    Mutant(
        "the soft cap on pieces leaves a link idle",
        "a cap yields before it leaves a link idle; scenario 3",
        "torrent_core.pieces.asking",
        "        if piece is None:\n            piece = self._open(link, usable, now)\n"
        "        if piece is not None:\n",
        "        if piece is not None:\n",
        "test_torrent_peers.py::test_blocks_spread_over_more_pieces_than_any_cap",
    ),
    Mutant(
        "the soft cap counts pieces that are fully asked for",
        "a cap yields before it leaves a link idle",
        "torrent_core.pieces.asking",
        "        elif active.open.bit_count() < self._soft_cap():\n",
        "        elif active.active_count < self._soft_cap():\n",
        "test_pieces_order.py::test_pieces_that_wait_for_their_hash_do_not_count_against_the_cap",
    ),
    Mutant(
        "a piece belongs to the link that began it",
        "preference, never ownership",
        "torrent_core.pieces.asking",
        "        if piece is None and begun:\n            piece = active.get(lowest(begun))\n",
        "",
        "test_scenarios_links.py::"
        "test_scenario_11_the_owner_chokes_at_half_with_only_idle_peers_left",
    ),
    Mutant(
        "an abandoned piece is no candidate again",
        "candidates have one owner; scenario 23",
        "torrent_core.pieces.picker",
        "            self.candidates |= bit\n",
        "            pass\n",
        "test_pieces_picker.py::test_a_piece_that_is_let_go_may_be_picked_again_unless_it_is_ours",
    ),
    Mutant(
        "a piece that takes longer than a minute is dropped",
        "age alone is no reason to drop a piece; scenario 12",
        "torrent_core.pieces.scheduler",
        "        released = []\n        for link in self.active.check_timeouts(now):\n",
        "        released = []\n"
        "        born = globals().setdefault('BORN', {})\n"
        "        for piece in self.active.active_pieces:\n"
        "            if now > born.setdefault(piece, now) + 60.0:\n"
        "                self.abandon(piece.index)\n"
        "        for link in self.active.check_timeouts(now):\n",
        "test_memory.py::test_scenario_12_a_piece_of_16_mib_from_one_slow_peer_is_downloaded_once",
    ),
    Mutant(
        "a link that leaves is taken out of availability twice",
        "a link ends once; scenario 21",
        "torrent_core.pieces.availability",
        "            self._seeds.remove(link)\n        else:\n",
        "            self._seeds.remove(link)\n        if pieces:\n",
        "test_scenarios_rest.py::test_scenario_21_error_and_close_of_one_link_count_once",
    ),
    # --- End-game -----------------------------------------------------------------------------
    Mutant(
        "end-game never begins when files are skipped",
        "end-game asks about one link, not about the torrent; scenario 14",
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
        "end-game asks about one link, not about the torrent; scenario 14",
        "torrent_core.pieces.asking",
        "        usable &= ~self._parole.everything\n",
        "        usable &= ~self._parole.everything\n"
        "        if any(piece.have_all_blocks for piece in self._active.active_pieces):\n"
        "            return []\n",
        "test_scenarios_finish.py::test_scenario_14_pieces_that_are_being_hashed_do_not_put_it_off",
    ),
    Mutant(
        "no CANCEL goes out when a block comes that others were asked for",
        "few holders, and CANCEL to them on first arrival; scenario 14",
        "torrent_core.torrent.downloads",
        "        for other in outcome.duplicates:\n",
        "        for other in ():\n",
        "test_scenarios_finish.py::"
        "test_scenario_14_the_last_blocks_of_a_slow_peer_are_asked_of_a_quick_one",
    ),
    Mutant(
        "a block is asked of any number of links",
        "few holders, and CANCEL to them on first arrival",
        "torrent_core.pieces.endgame",
        " or piece.holders(info.block) >= MAX_BLOCK_HOLDERS:\n",
        ":\n",
        "test_pieces_endgame.py::test_a_block_goes_to_so_many_links_and_no_further",
    ),
    # --- Blocks -------------------------------------------------------------------------------
    Mutant(
        "a late block counts as one that nobody asked for",
        "a late answer is no offence; scenario 15",
        "torrent_core.pieces.ledger",
        "        self._note(key, self.owed(key) + 1)\n",
        "        pass\n",
        "test_pieces_blocks.py::test_a_late_block_is_taken_once",
    ),
    Mutant(
        "a block that nobody asked for is taken in",
        "only what was asked for is taken in; scenario 16",
        "torrent_core.pieces.unasked",
        "        piece = self._active.get(index) if key in link.withdrawn else None\n",
        "        piece = self._active.get(index)\n",
        "test_pieces_blocks.py::test_a_block_that_is_not_exactly_what_was_asked_changes_nothing",
    ),
    Mutant(
        "a duplicate while a piece is hashed completes it twice",
        "complete is a transition that happens once; scenario 15",
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
        "only the proven are banned; scenario 17",
        "torrent_core.torrent.blaming",
        "        culprit = suspects.pop() if len(suspects) == 1 and not piece.stored else None\n",
        "        culprit = None\n",
        "test_torrent_blame.py::test_a_sole_contributor_that_left_before_the_digest_came_is_banned",
    ),
    Mutant(
        "a peer is banned for a piece that others sent as well",
        "only the proven are banned; scenario 17",
        "torrent_core.torrent.blaming",
        "        culprit = suspects.pop() if len(suspects) == 1 and not piece.stored else None\n",
        "        culprit = next(iter(contributors.values()), None)\n",
        "test_torrent_blocks.py::"
        "test_with_several_contributors_the_piece_is_fetched_from_one_link_at_a_time",
    ),
    Mutant(
        "a peer is banned for what a disk has spoiled",
        "only the proven are banned",
        "torrent_core.torrent.blaming",
        "if len(suspects) == 1 and not piece.stored else None",
        "if len(suspects) == 1 else None",
        "test_torrent_blame.py::test_a_disk_that_corrupts_gets_nobody_banned",
    ),
    Mutant(
        "a piece that several spoiled is fetched from several again",
        "only the proven are banned; scenario 17",
        "torrent_core.torrent.blaming",
        "        context.scheduler.parole.sentence(piece.index)\n",
        "",
        "test_torrent_blocks.py::test_a_piece_that_several_spoiled_is_asked_of_one_of_them_alone",
    ),
    # --- Memory and storage -------------------------------------------------------------------
    Mutant(
        "memory that comes free wakes nobody",
        "short of memory, blocks are stored and not dropped; scenario 6",
        "torrent_core.pieces.asking",
        "        self._blocks_free = self._memory_free = True\n",
        "        self._blocks_free = True\n",
        "test_torrent_download.py::"
        "test_slow_hashing_and_a_stalled_disk_bound_the_backlog_and_lose_nothing",
    ),
    Mutant(
        "blocks that give way are dropped instead of written",
        "short of memory, blocks are stored and not dropped; scenario 3",
        "torrent_core.torrent.writing",
        "        freed = context.active.free_spent(piece, blocks)\n"
        "        unsaved = blocks & piece.unsaved\n",
        "        piece.discard(blocks & piece.unsaved)\n"
        "        freed = context.active.free_spent(piece, blocks)\n"
        "        unsaved = 0\n",
        "test_memory.py::test_scenario_03_pieces_that_nobody_can_finish_give_their_memory_up",
    ),
    Mutant(
        "hashes and writes out have no bound",
        "hashing and disk do not drain the pipe; scenario 6",
        "torrent_core.torrent.backlog",
        "        if lane.out < lane.limit:\n",
        "        if lane.limit:\n",
        "test_memory.py::test_hashes_and_writes_out_are_bounded_and_the_rest_waits_in_order",
    ),
    Mutant(
        "a piece whose write fails is forgotten",
        "nothing is lost, and nothing said too early; scenario 28",
        "torrent_core.torrent.backlog",
        "            self._failed[self._serial] = task\n"
        "            context.timers.set((RETRY, self._serial), retry_at)\n",
        "",
        "test_torrent_storage.py::test_a_full_disk_is_tried_ever_more_seldom_and_recovers",
    ),
    Mutant(
        "a piece is announced before it is written",
        "nothing is lost, and nothing said too early; scenario 28",
        "torrent_core.torrent.finishing",
        "        self._writing.store(piece, piece.all_blocks)\n",
        "        self._writing.store(piece, piece.all_blocks)\n"
        "        self._on_verified(piece.index)\n",
        "test_torrent_storage.py::test_nothing_is_announced_before_it_is_written",
    ),
    Mutant(
        "a restart forgets the blocks of pieces half done",
        "a restart goes on where it was; scenario 2",
        "torrent_core.torrent.saving",
        "            partial=tuple(sorted(stored)),\n",
        "            partial=(),\n",
        "test_torrent_restart.py::test_a_stop_keeps_the_blocks_of_pieces_half_done",
    ),
    Mutant(
        "a link with all the requests it may have still lacks memory",
        "silent links take one another's memory for ever, in one step",
        "torrent_core.pieces.asking",
        "            self._sated(link.state.ordinal)\n            return asked\n",
        "            self._sated(link.state.ordinal)\n",
        "test_pieces_relief.py::test_a_link_with_all_the_requests_it_may_have_lacks_no_memory",
    ),
    # --- Links --------------------------------------------------------------------------------
    Mutant(
        "a handshake may take for ever",
        "a link has its time, to the clock; scenario 25",
        "torrent_core.link",
        "if self._life.phase is Phase.HANDSHAKE and now >= self._since + HANDSHAKE_TIMEOUT:",
        "if self._life.phase is Phase.CLOSED and now >= self._since + HANDSHAKE_TIMEOUT:",
        "test_scenarios_rest.py::test_scenario_25_the_clocks_of_a_link_are_exact",
    ),
    Mutant(
        "a link may be idle for ever",
        "a link has its time, to the clock; scenario 25",
        "torrent_core.peer.connection",
        "        idle = self._heard + IDLE_TIMEOUT\n",
        '        idle = float("inf")\n',
        "test_scenarios_rest.py::test_scenario_25_the_clocks_of_a_link_are_exact",
    ),
    Mutant(
        "a peer that does not answer is dialled again without backoff",
        "every retry has its backoff",
        "torrent_core.candidates.candidate",
        "        self.failures = min(self.failures + 1, MOST_FAILURES)\n",
        "        self.failures = 1\n",
        "test_torrent_links.py::test_a_peer_that_does_not_answer_is_dialled_ever_more_seldom",
    ),
    # --- Finding peers ------------------------------------------------------------------------
    Mutant(
        "of crossed links each side keeps the first",
        "exactly one link of two machines survives, on both",
        "torrent_core.torrent.linktable",
        "    if crossed and we_are_greater is not link.state.incoming:\n",
        "    if False:\n",
        "test_crossed_links.py::test_the_link_of_the_greater_peer_id_stays_where_both_dial_at_once",
    ),
    Mutant(
        "a peer is dialled again that is connected by another link",
        "a peer has one link, however many addresses",
        "torrent_core.torrent.linktable",
        "    first.candidates += link.candidates\n    link.candidates = []\n",
        "",
        "test_crossed_links.py::"
        "test_of_two_links_that_we_opened_the_first_stays_and_neither_is_dialled_again",
    ),
    Mutant(
        "an address that is ours is dialled for ever",
        "never dialled again",
        "torrent_core.torrent.machine",
        "            self._dialling.is_ourselves(link)\n",
        "            pass\n",
        "test_crossed_links.py::test_an_address_that_turned_out_to_be_us_is_never_dialled_again",
    ),
    Mutant(
        "a private torrent exchanges peers",
        "a private torrent leaks nothing (BEP 27)",
        "torrent_core.torrent.exchanging",
        "if context.config.exchange_peers and not context.metainfo.private:",
        "if context.config.exchange_peers:",
        "test_exchanging.py::test_a_private_torrent_never_offers_sends_or_takes_it",
    ),
    Mutant(
        "a private torrent listens to anybody",
        "a private torrent leaks nothing (BEP 27)",
        "torrent_core.torrent.finding",
        "        if self._context.is_private and source not in OF_PRIVATE:\n",
        "        if False:\n",
        "test_torrent_finding.py::"
        "test_whatever_is_told_a_private_torrent_listens_to_its_tracker_and_its_user",
    ),
    Mutant(
        "a magnet that turns out private keeps its strangers",
        "a private torrent leaks nothing (BEP 27)",
        "torrent_core.magnet.magnet",
        "        if found.private:\n",
        "        if False:\n",
        "test_finding.py::test_who_was_found_elsewhere_is_left_when_a_magnet_turns_out_private",
    ),
    Mutant(
        "gossip fills the book for ever",
        "who sends most does not own the book",
        "torrent_core.candidates.eviction",
        "        return candidate.is_gossip and newcomer is not PeerSource.EXCHANGE\n",
        "        return candidate.is_gossip\n",
        "test_strangers.py::test_gossip_does_not_displace_anybody_who_has_not_failed",
    ),
    # --- Trackers -----------------------------------------------------------------------------
    Mutant(
        "the min interval of a tracker is ignored",
        "no tracker is announced to more often than it wants",
        "torrent_core.trackers.announcer",
        "        self.earliest = max(self.earliest, now + least)\n",
        "        self.earliest = max(self.earliest, now + MIN_ANNOUNCE_INTERVAL)\n",
        "test_trackers.py::test_short_of_peers_it_announces_as_soon_as_the_tracker_allows",
    ),
    Mutant(
        "a thousand torrents announce at once",
        "an announce storm is spread and bounded",
        "torrent_core.trackers.desk",
        "        return self.out + cost <= self._config.max_out\n",
        "        return self.out + cost > 0\n",
        "test_tracker_machine.py::test_a_storm_of_torrents_is_spread_and_bounded",
    ),
    Mutant(
        "a dead UDP tracker keeps its place in line",
        "who is silent does not hold up the rest",
        "torrent_core.trackers.desk",
        "            self._udp_places.set(job.serial, now + TRACKER_PATIENCE)\n",
        "            self._udp_places.set(job.serial, now + 16.0 * TRACKER_PATIENCE)\n",
        "test_tracker_machine.py::test_a_storm_at_dead_trackers_lets_the_living_be_asked",
    ),
    Mutant(
        "a private torrent asks a second tracker while the first is silent",
        "one tracker at a time (BEP 27)",
        "torrent_core.trackers.campaign",
        "self._trying.job is job and not self._is_private:\n",
        "self._trying.job is job:\n",
        "test_trackers.py::test_a_private_torrent_uses_one_tracker_at_a_time",
    ),
    Mutant(
        "a connection id is used for ever",
        "the examples of BEP 15",
        "torrent_core.trackers.udp",
        "            self._expires = now + CONNECTION_LIFE\n",
        "            self._expires = now + 1000.0 * CONNECTION_LIFE\n",
        "test_tracker_udp.py::test_announce_times_out_and_the_connection_id_expires",
    ),
    # --- Bytes in their places ------------------------------------------------------------------
    Mutant(
        "whatever lands in a place is taken for its block",
        "what turns out to be something else is read as any input",
        "torrent_core.peer.landing",
        "        if self._headers[:complete] == self._expected[:complete]:\n",
        "        if complete:\n",
        "test_placing.py::test_what_was_not_expected_is_read_as_any_input",
    ),
    Mutant(
        "places outlive what is told in between",
        "a place is the link's until something else is told",
        "torrent_core.torrent.torrent",
        "        self._placing = None\n        if self._dialling.stale:\n",
        "        if self._dialling.stale:\n",
        "test_placing.py::test_nothing_is_told_of_places_that_were_not_given",
    ),
    Mutant(
        "a block goes on in the buffer that it began in, wherever that is",
        "two writers in one place spoil a block",
        "torrent_core.peer.framing",
        "        if block.target.obj is not place.obj:",
        "        if block.target.obj is None:",
        "test_placing.py::test_no_places_for_a_block_that_began_while_somebody_else_was_writing_it",
    ),
)
"""Every fault on the list is noticed by the test that it names."""
