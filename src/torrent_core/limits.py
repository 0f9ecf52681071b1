"""Every bound the core keeps, in one place, each with the precedent it came from.

``lt`` below means libtorrent-rasterbar 2.1.1.  Times are seconds, sizes are bytes.
"""

from __future__ import annotations

# --- Blocks and requests ---------------------------------------------------------------
BLOCK_SIZE = 16 * 1024
"""Unit of request.  BEP 3 suggests 2^14, and every client closes or ignores above it."""

MAX_REQUEST_LENGTH = 16 * 1024
"""Largest block we serve (lt: default_block_size; larger requests are rejected)."""

MIN_PIPELINE = 2
"""Floor of requests out on a link, and where slow start begins (lt: min_request_queue 2)."""

MAX_PIPELINE = 500
"""Most requests out on one link (lt: max_out_request_queue 500)."""

PIPELINE_SECONDS = 3.0
"""The pipeline holds so many seconds of the link's rate (lt: request_queue_time 3)."""

MAX_REQQ = 1_000_000
"""A ``reqq`` above this, or below 1, is absurd and ignored (lt believes anything)."""

MAX_WITHDRAWN = 4 * MAX_PIPELINE
"""Withdrawn requests remembered per link; the oldest goes first (lt: 2000 in flight)."""

MAX_UNSOLICITED_BLOCKS = 512
"""Blocks nobody asked for, before the link is closed.  BEP 6 would close at the first;
honest peers race with our CANCEL, so most engines never do."""

MAX_BLOCK_HOLDERS = 3
"""Most links one block is asked of in end-game (lt: 2 to 3 in practice)."""

ENDGAME_PATIENCE = 0.5
"""Blocks due within this are not asked for twice, and links with room look again after it (two
of the longest round trips on Earth; lt waits for its tick of one second).

A CANCEL cannot overtake what comes so soon."""

MAX_LINKS_REVIEWED = 16
"""Hungry links that look at slower ones together, and busy ones that are offered what came
free: more wait for their turn (lt picks end-game blocks for one peer at a time)."""

MAX_SLOW_LINKS_SEEN = 32
"""Links that one in end-game looks at to find the slowest, in turn: more than have requests
out near the end of a usual download (lt keeps 50 connections a torrent by default)."""

# --- Deadlines ---------------------------------------------------------------------------
REQUEST_TIMEOUT = 30.0
"""The plan's default, and here the ceiling of every adaptive request deadline."""

LATENESS_FLOOR = 2.0
"""No link is called late before this much silence (as TCP's minimum RTO, RFC 6298, x 2)."""

LATENESS_UNKNOWN = 10.0
"""Patience with a link that never delivered (lt: piece_timeout 20, peer_timeout 120)."""

OVERTAKEN_LIMIT = 8
"""A request is lost when its link answered so many later ones (TCP: 3 duplicate ACKs)."""

SLEPT = 10.0
"""A call so much later than its deadline means that the machine slept (HBase's Sleeper takes
a wake-up 10 s late for a pause of the whole process)."""

REFUSAL_BACKOFF = 2.0
"""First pause of a (link, piece) after a REJECT or a timeout; doubles to the maximum."""

MAX_REFUSAL_BACKOFF = 60.0
"""Longest such pause (lt retries a rejecting peer after about a minute)."""

MAX_REJECTIONS = 16
"""REJECTs in a row before the whole link is left alone for a while (lt disconnects a
non-choking peer after repeated rejects of what it asked)."""

HANDSHAKE_TIMEOUT = 10.0
"""From the link's opening to the whole handshake (lt: handshake_timeout 10)."""

IDLE_TIMEOUT = 150.0
"""Longest silence: BEP 3 sends keep-alives every two minutes, plus 30 s of grace."""

KEEPALIVE_INTERVAL = 60.0
"""We send a keep-alive after so long without anything else (lt: about 60)."""

HAVE_DELAY = 0.1
"""HAVEs are gathered for so long and sent in one go (lt batches per second tick)."""

# --- Pieces and memory -------------------------------------------------------------------
MAX_ACTIVE_PIECES = 20
"""The plan's soft cap on pieces that still have blocks to ask for."""

MAX_OPEN_BLOCKS = 2048
"""The same cap in blocks: pieces may be small (lt: max 2048 partial blocks)."""

MAX_BUFFERED_BYTES = 16 * 1024 * 1024
"""The plan's memory budget for blocks that are not on disk yet."""

WRITE_THROUGH_SHARE = 4
"""A piece longer than this part of the memory budget is written as it comes, and hashed from
storage (design, section 6); shorter ones stay in memory until they are verified."""

MAX_SEGMENT_BLOCKS = 16
"""Blocks of such a piece that take memory, and are written, together: 256 KiB (lt 1.x:
write_cache_line_size 16)."""

SEGMENTS_IN_BUDGET = 64
"""So many segments fit in the budget if it is small, so that as many links can work at once
(lt: a piece's downloaders each keep to their own 16 KiB blocks)."""

MIN_SEGMENTS = 2
"""Segments that a torrent may hold whatever the budget says: one to fetch, one to finish."""

CLEANUP_INTERVAL = 10.0
"""Longest gap between checks for timeouts (the plan's clean-up interval)."""

# --- Storage -----------------------------------------------------------------------------
RESUME_INTERVAL = 10.0
"""Resume data is saved this long after progress began to be unsaved (design, section 6)."""

MAX_CHECKS_IN_FLIGHT = 4
"""Pieces being re-hashed at once while checking (lt: checking_mem_usage 8 MiB)."""

MAX_HASHES_OUT = 32
"""Pieces of one torrent that are out to be hashed at once (lt: hashing_threads 1, aio_threads
10; more keep no thread busier, and only wait where no account shows it)."""

MAX_WRITES_OUT = 32
"""Writes of one torrent that are out at once (lt: aio_threads 10, max_queued_disk_bytes 1 MiB,
which is 64 blocks)."""

STORAGE_RETRY = 5.0
"""First pause after a failed write or read; doubles to the maximum."""

MAX_STORAGE_RETRY = 60.0
"""Longest pause between tries at a failing disk (lt gives up at once; a user frees space)."""

# --- Blame ---------------------------------------------------------------------------------
MAX_REMEMBERED_DIGESTS = 32768
"""Digests of blocks of suspect pieces that one torrent keeps, 3 to 5 MiB; those of the piece
suspected longest ago are forgotten first.  As many as the longest piece has blocks (lt's
smart_ban keeps a digest and a peer per block as well, without a bound)."""

MAX_BANNED_ADDRESSES = 1000
"""Addresses of which peers are banned; the first are forgotten first (lt keeps all until
the session ends)."""

MAX_PROVEN_ADDRESSES = 1000
"""Addresses remembered for having sent good pieces; those that did so last are kept."""

MAX_IDENTITIES_PER_ADDRESS = 8
"""Peer ids remembered of one address, banned ones and good ones each.  With so many banned
no other is let in that has not proven good (as many as links from one address)."""

MAX_DEPARTED = 1000
"""Links that are gone and sent blocks, of which it is remembered who they were."""

# --- Links and dialling --------------------------------------------------------------------
MAX_LINKS = 200
"""Links of one session (lt: connections_limit 200)."""

MAX_HALF_OPEN = 32
"""Dials under way at once (lt: half-open was 8 on old Windows, 100 now)."""

MAX_PENDING_HANDSHAKES = 64
"""Incoming links that have not named their torrent yet."""

INCOMING_SHARE = 0.75
"""Share of the links that may be incoming: strangers must not take all (lt: none; many
clients keep a tenth to a half for outgoing links)."""

MAX_LINKS_PER_ADDRESS = 8
"""Links from one public address (lt allows 1; several people share a NAT)."""

MAX_LINKS_PER_LOCAL_ADDRESS = 128
"""The same on loopback and private ranges, so that swarms on one host work."""

DIAL_TIMEOUT = 10.0
"""A dial that has not answered is cancelled (lt: peer_connect_timeout 15)."""

REDIAL_BASE = 1.0
"""First pause before a named peer is dialled again; doubles to the maximum."""

REDIAL_MAX = 300.0
"""Longest pause between dials of one peer (hardening: five minutes)."""

STABLE_LINK = 30.0
"""A link that lived this long clears its address's backoff."""

MAX_CANDIDATES = 3000
"""Peers known of one torrent (lt: max_peerlist_size 3000)."""

STRANGER_REDIAL_BASE = 60.0
"""First pause before a peer is dialled again that nobody named and that failed; doubles to
REDIAL_MAX (lt: min_reconnect_time 60, times the failures)."""

MAX_STRANGER_FAILURES = 3
"""Failures in a row after which such a peer is given up (lt: max_failcount 3)."""

GIVEN_UP_FOR = 3600.0
"""It stays known for so long that it was given up, so that gossip does not bring it back each
minute (lt keeps it until the list is full)."""

MAX_SHUNNED_ADDRESSES = 100
"""Addresses remembered to be ourselves, and those to have been dropped, each (a host has a
few; lt bans its own address for the life of the torrent)."""

MAX_STRANGER_LINKS = 50
"""With so many links and dials a torrent dials nobody but named peers (Transmission:
peer-limit-per-torrent 50)."""

MIN_LINKS_WANTED = 20
"""A torrent with fewer links, and nobody left to dial, is short of peers (mainline: min_peers
20)."""

EXTERNAL_ADDRESS_VOTES = 2
"""Tellers who must agree on where they see us (lt: a first vote counts, and 50 decide anew)."""

MAX_EXTERNAL_VOTERS = 100
"""Tellers whose last word on that is remembered (lt: 50 votes a round)."""

# --- Choking and uploads -------------------------------------------------------------------
UPLOAD_SLOTS = 8
"""Interested links unchoked at once (lt: unchoke_slots_limit 8)."""

CHOKE_INTERVAL = 10.0
"""Time between choking rounds (BEP 3)."""

OPTIMISTIC_INTERVAL = 30.0
"""Time between changes of the optimistic unchoke (BEP 3)."""

MAX_UPLOAD_QUEUE = 2000
"""REQUESTs queued from one link; more are rejected (lt: max_allowed_in_request_queue)."""

SEND_WATERMARK = 1024 * 1024
"""Blocks are read for a link while fewer bytes than this wait to be sent (lt:
send_buffer_watermark 500 KiB, raised on fast links)."""

MAX_READ_AHEAD = 256 * 1024
"""Neighbouring requests served by one read (lt: read_cache_line_size 32 blocks)."""

# --- Wire ----------------------------------------------------------------------------------
MAX_EXTENDED_MESSAGE = 64 * 1024
"""Largest BEP 10 message taken in before its own extension's limit."""

MAX_UNKNOWN_MESSAGES = 256
"""Messages of an unknown id that are ignored, before the link is closed."""

MAX_PLACED_BLOCKS = 64
"""Blocks for which an adapter is given places at once: 1 MiB, as much as the adapters here read,
in two buffers each, of which a system takes 1,024 (IOV_MAX, limits.h of Linux)."""

MIN_PLACED_BLOCKS = 4
"""With fewer than that to come, an input of the usual kind costs less."""

MIN_BLOCKS_TOGETHER = 8
"""The same of blocks that have come, in an input of the usual kind: to compare their headers
together and then copy them costs less than one after the other, but not of the four in 64 KiB."""

MAX_CLIENT_NAME = 128
"""Characters kept of a peer's ``v`` (BEP 10; lt truncates for display only)."""

MAX_REPLY_BACKLOG = 2 * SEND_WATERMARK
"""Bytes that may wait for a peer which makes us reject: it must read what it asks for.
Blocks alone never take more than the watermark (lt closes on its send buffer limit)."""

ALLOWED_FAST_COUNT = 10
"""Size of the allowed-fast set we grant (BEP 6 suggests 10)."""

MAX_ALLOWED_FAST = 1000
"""Allowed-fast and suggested pieces remembered from one link."""

# --- Traces --------------------------------------------------------------------------------
MAX_FRAME_BYTES = 256 * 1024 * 1024
"""Most bytes of one frame of a trace once it is inflated: a torrent file and its resume data
at their largest (64 MiB each), and as much again.  zlib packs a thousandfold, so a reader
needs a bound (gzip and zstd have a window for one; a frame is inflated whole)."""

MAX_RECORD_BYTES = MAX_FRAME_BYTES // 2
"""Most bytes of one event in a trace, so that a frame has room for it beside others."""

FLUSH_BYTES = 64 * 1024
"""Most bytes of records that wait to be written out (the kernel's own pipe buffer; a write
of that size costs as little per byte as a larger one)."""

FLUSH_INTERVAL = 1.0
"""Longest that a step waits to be written out while others follow it (what a process that
is killed may lose of its trace; databases that batch their commits wait as long)."""

# --- Finding peers ---------------------------------------------------------------------------
MAX_REDIRECTS = 5
"""Redirections that one fetch follows (lt: max_redirects 5)."""

MAX_PEERS_FOUND = 1000
"""Peers of one report that are looked at (lt: num_want 200 of a tracker; a DHT lookup may bring
some hundreds)."""

PEX_INTERVAL = 60.0
"""Between two peer exchange messages on one link (BEP 11: no more than one a minute)."""

PEX_PATIENCE = PEX_INTERVAL / 2
"""One that comes sooner after another is not read: they were sent in time if delays of the
network account for it."""

MAX_PEX_MESSAGES = 6
"""So many within PEX_INTERVAL, read or not, are a flood, and the link is closed (lt looks six
messages back)."""

MAX_PEX_CONTACTS = 50
"""Contacts added, and dropped, by one message (BEP 11: 50, the first apart; lt: max_pex_peers
50)."""

MAX_PEX_FIRST_CONTACTS = 200
"""Contacts taken from the first message of a link (lt sends up to 100 in it)."""

# --- The local network -----------------------------------------------------------------------
LSD_INTERVAL = 300.0
"""Time between announcements of one torrent on the local network (BEP 14: five minutes)."""

LSD_GAP = 60.0
"""Shortest time between two announcements, of whatever torrents (BEP 14: no more than one a
minute)."""

MAX_LSD_HASHES = 24
"""Torrents that one announcement names: a datagram of 1,400 bytes holds them (BEP 14).  More
take their turn, so with over 120 torrents the interval of each grows."""

MAX_LSD_DATAGRAM = 1500
"""Longest announcement that is read: BEP 14's 1,400 bytes, up to what Ethernet carries."""

MAX_LSD_HEARD = 1000
"""Announcements that are read in each ``LSD_GAP``: as many clients on one network as announce
at the rate that BEP 14 allows (lt reads all)."""
# --- Trackers --------------------------------------------------------------------------------
MAX_TRACKER_BODY = 1024 * 1024
"""Body of a tracker's answer, after decompression (lt: tracker_maximum_response_length)."""

MAX_TRACKERS = 200
"""Trackers of one torrent; more are left out (lt: none; the longest lists have about 100)."""

MAX_TRACKER_URL = 2048
"""Characters of a tracker's URL (lt: none; what browsers and servers take)."""

MAX_TRACKER_TOKENS = 20_000
"""Bencoded values in one such body, dictionary keys included: 2,000 peers in the long form have
14,000.  It bounds the time that a body takes (lt: none of its own)."""

MAX_TRACKER_TEXT = 256
"""Characters kept of a warning or failure that a tracker words (lt: none)."""

MAX_TRACKER_ID = 256
"""Bytes of a ``tracker id`` that is sent back; a longer one is ignored (lt: none)."""

NUM_WANT = 200
"""Peers asked of a tracker (lt: num_want 200)."""

MAX_REPLY_PEERS = 1000
"""Peers taken from one answer: trackers may give more than they were asked for (lt: none)."""

MAX_REQUESTS_OUT = 50
"""Fetches and UDP exchanges with trackers at once, all torrents together; more wait in line
(lt: max_concurrent_http_announces 50)."""

FETCH_TIMEOUT = 30.0
"""A fetch from a tracker that has not been answered is given up (lt:
tracker_completion_timeout 30)."""

RESOLVE_TIMEOUT = 30.0
"""A host name that has not been resolved is given up (as a fetch, which resolves as well)."""

TRACKER_PATIENCE = 15.0
"""A tracker that is silent for so long is asked on, but the next one as well (the first
retransmission of BEP 15; lt gives up after tracker_receive_timeout 10)."""

UDP_RETRY = 15.0
"""First wait for a datagram's answer; doubles with every retransmission (BEP 15)."""

UDP_TRIES = 4
"""Datagrams sent for one answer before the tracker is given up (BEP 15 goes on to nine,
which is over two hours; lt gives up within tracker_completion_timeout)."""

CONNECTION_LIFE = 60.0
"""A connection id of a UDP tracker is used for so long after it came (BEP 15)."""

MIN_ANNOUNCE_INTERVAL = 60.0
"""No tracker is announced to more often, whatever it asks for, but for events (lt:
min_announce_interval 300, which makes short test intervals impossible)."""

MAX_ANNOUNCE_INTERVAL = 86400.0
"""Longest time between announces, whatever the tracker asks for (lt: none)."""

DEFAULT_ANNOUNCE_INTERVAL = 1800.0
"""Where the tracker names no interval (lt: 1800)."""

DEFAULT_MIN_INTERVAL = 300.0
"""Where it names no ``min interval``, and peers are short (lt: min_announce_interval 300)."""

ANNOUNCE_RETRY = 15.0
"""First pause after a tracker that did not answer; doubles to the maximum (lt: 7, 15, 27, 45)."""

MAX_ANNOUNCE_RETRY = 3600.0
"""Longest pause before such a tracker is tried again (lt: tracker_retry_delay_max 60 min)."""

ANNOUNCE_JITTER = 0.1
"""Every wait for an announce is stretched by up to this share, so that torrents which were
added in one instant do not announce in one instant ever after (lt: none)."""

STOP_ANNOUNCE_TIMEOUT = 5.0
"""``stopped`` is given up so long after the torrent stopped (lt: stop_tracker_timeout 5)."""

COMPLETED_PATIENCE = STOP_ANNOUNCE_TIMEOUT / 2
"""So long does ``stopped`` wait for the answer to ``completed``: both have to go out within
STOP_ANNOUNCE_TIMEOUT, and get half of it each."""

# --- The DHT -----------------------------------------------------------------------------------
MAX_KRPC_BYTES = 4096
"""Datagrams above this are no packet of the DHT (BEP 32: at least 1,024 must be understood; lt
reads 1,500); what MAX_KRPC_TOKENS lets in is no longer."""

MAX_KRPC_REPLY = 1024
"""Longest packet that we send (BEP 32)."""

MAX_KRPC_DEPTH = 10
"""Levels of bencode in a packet (lt: bdecode of a DHT packet, depth limit 10)."""

MAX_KRPC_TOKENS = 500
"""Values in a packet (lt: bdecode of a DHT packet, token limit 500)."""

MAX_KRPC_TRANSACTION = 32
"""Longest transaction that we repeat to its maker; they have 2 to 8 bytes."""

MAX_KRPC_TEXT = 128
"""Characters kept of an error's text; it is shown to people only."""

DHT_K = 8
"""Nodes of a bucket, of a reply, and of those that a torrent is announced to (BEP 5)."""

DHT_SPARES = 8
"""Nodes kept for a full bucket, for when one of it fails (lt: replacement cache of 8)."""

DHT_ALPHA = 3
"""Queries of one lookup that are out at once (Kademlia's alpha; lt: search_branching 5)."""

DHT_SHORT_TIMEOUT = 1.0
"""A lookup asks somebody else as well after this silence (lt: short_timeout 1)."""

DHT_TIMEOUT = 15.0
"""A query without an answer after this has failed (lt: timeout 15)."""

DHT_QUERIES_A_LOOKUP = 100
"""Queries of one lookup, so that it ends whatever it is told (an honest one needs 20 to 40)."""

DHT_CANDIDATES = 100
"""Nodes that one lookup keeps in mind: the closest (lt: 100 results kept)."""

DHT_NODES_A_REPLY = 32
"""Nodes read of one reply: BEP 5 has 8, some clients send 16."""

DHT_PEERS_A_SEARCH = 1000
"""Peers taken from one lookup (lt has no bound; 8 nodes that give 100 each are 800)."""

DHT_MAX_TOKEN = 64
"""Longest token that we repeat to its maker; they have 4 to 20 bytes."""

DHT_LOOKUPS = 8
"""Searches that run at once in one of the two DHTs; more wait for their turn (BEP 33 suggests
4 at the start; 1,000 torrents are through in a few minutes)."""

DHT_PINGS = 32
"""Pings of nodes we know little of that are out at once (lt pings one node per few seconds)."""

DHT_LEADS = 200
"""Nodes remembered to begin with: saved ones, and those that the other DHT told of."""

DHT_ROUTERS = 16
"""Routers to begin with; lt's own list has one, others' three or four."""

DHT_GOOD_SECONDS = 900.0
"""A node that was silent for longer is questionable, a bucket unchanged for longer is refreshed
(BEP 5: 15 minutes)."""

DHT_BAD_FAILURES = 2
"""Queries in a row without an answer that make a node bad (BEP 5: try once more)."""

DHT_SEARCH_INTERVAL = 900.0
"""Between two searches for one torrent (lt: dht_announce_interval 15 minutes)."""

DHT_SEARCH_RETRY = 5.0
"""After a search that fewer than DHT_K nodes answered, in a DHT where we know no more; doubles to
DHT_SEARCH_INTERVAL (as DHT_BOOTSTRAP_RETRY)."""

DHT_SEARCH_AGAIN = 60.0
"""Between two searches for one torrent when nobody answered, or the torrent is short of peers."""

DHT_SAVE_INTERVAL = 600.0
"""Between two SaveNodes: what a kill may lose (lt saves when it is asked to)."""

DHT_BOOTSTRAP_RETRY = 5.0
"""First pause after a bootstrap that left us with fewer than DHT_K nodes, and the least between two
of them; doubles to the maximum."""

DHT_MAX_BOOTSTRAP_RETRY = 300.0
"""Longest such pause (as REDIAL_MAX)."""

DHT_TOKEN_SECONDS = 300.0
"""Our tokens change so often, and are good for one such period more (BEP 5)."""

DHT_STORED_SECONDS = 2700.0
"""An announced peer is forgotten after this (lt: one and a half times 30 minutes)."""

DHT_STORED_TORRENTS = 2000
"""Torrents that others announced to us; the one announced longest ago goes (lt: 2,000)."""

DHT_STORED_PEERS = 500
"""Peers of one of them (lt: dht_max_peers 500)."""

DHT_STORED_TOTAL = 20_000
"""Peers of all of them: 5 MiB or so (lt bounds each torrent alone)."""

DHT_VALUES_A_REPLY = 100
"""Peers in one reply of ours, if there is room (lt: dht_max_peers_reply 100)."""

DHT_BURST = 50
"""Queries from one address that are answered in a row (lt: 5 a second over 10 seconds)."""

DHT_QUERY_RATE = 5.0
"""Queries a second from one address that are answered (lt: dht_block_ratelimit 5)."""

DHT_TOTAL_RATE = 200.0
"""Queries a second from everybody that are answered (lt: dht_upload_rate_limit 8,000 bytes a
second, some 30 replies; a well placed node sees 10 or 20 a second)."""

DHT_TOTAL_BURST = 400
"""The same in a row."""

DHT_ASKERS = 1000
"""Addresses whose queries are counted; who asked longest ago is forgotten."""

DHT_VOTES = 32
"""Nodes whose word on our own address is remembered, the latest."""

DHT_VOTES_NEEDED = 5
"""Of these, so many and more than half must agree (BEP 42 asks for some vote; lt: a majority)."""

# --- Metadata and magnet links -----------------------------------------------------------------
MAX_MAGNET_LENGTH = 64 * 1024
"""Characters of a magnet link (lt: none; Linux passes 128 KiB to a program as one argument)."""

MAX_MAGNET_ENTRIES = 100
"""Trackers, peers, web seeds and runs of files kept of one magnet link; the first count (lt:
none)."""

MAX_HOST_NAME = 253
"""Characters of a host's name (RFC 1035: 255 bytes as they are sent)."""

METADATA_PIECE = 16 * 1024
"""Bytes of a piece of metadata but the last (BEP 9)."""

MAX_METADATA_SIZE = 32 * 1024 * 1024
"""Most bytes of an info dictionary that a peer may claim (lt: max_metadata_size 3 MiB, once
30; rqbit 32)."""

SMALL_METADATA = 1024 * 1024
"""Copies of metadata up to this size are fetched many at a time (lt believed no larger ones
for years, and nearly all are smaller)."""

MAX_SMALL_COPIES = 16
"""Copies of at most that size that are fetched at once."""

MAX_LARGE_COPIES = 2
"""Larger copies that are fetched at once.  So all copies together take 80 MiB at the most (lt
keeps one buffer for all peers, which one liar spoils)."""

METADATA_REQUESTS = 2
"""Requests for metadata out on one link (lt: 2)."""

MAX_METADATA_DOUBLES = 16
"""Requests out for one copy before a piece is asked of a second peer no more."""

METADATA_PATIENCE = 3.0
"""A piece of metadata that has not come is asked of somebody else (lt: 3 s)."""

METADATA_TIMEOUT = 20.0
"""A request for metadata that is not answered is given up (lt: never)."""

METADATA_LEASE = 30.0
"""A copy that others wait for may take so long, and a second more for each ..."""

METADATA_PACE = 64 * 1024
"""... bytes (HTTP servers drop clients below a few hundred bytes a second)."""

METADATA_BACKOFF = 10.0
"""First pause after a peer refused metadata or did not answer; doubles (lt: 20 to 70 s)."""

MAX_METADATA_BACKOFF = 300.0
"""Longest such pause (lt: five minutes after a wrong copy)."""

METADATA_SEND_BUFFER = 160 * 1024
"""Metadata is queued for a link while fewer bytes than this wait to be sent (lt: the same)."""

MAX_METADATA_QUEUE = 1024
"""Requests for metadata that wait for room on one link; more are rejected (lt: 1024)."""

# --- Bencode and torrent files ---------------------------------------------------------------
MAX_BENCODE_DEPTH = 100
"""Nesting (lt: bdecode depth_limit 100)."""

MAX_BENCODE_TOKENS = 3_000_000
"""Values in one document (lt: max_decode_tokens 3,000,000)."""

MAX_INTEGER_DIGITS = 20
"""Characters of an integer, sign included; 64 bits need no more."""

MAX_TORRENT_BYTES = 64 * 1024 * 1024
"""Largest .torrent (lt: 10 MB, which cannot hold its own limit of pieces)."""

MAX_PIECES = 2_097_152
"""Pieces of one torrent (lt: max_pieces 0x200000)."""

MAX_PIECE_LENGTH = 2**29
"""Longest piece (lt: 512 MiB)."""

MAX_FILES = 250_000
"""Files of one torrent; no precedent has a bound but size."""

MAX_PATH_DEPTH = 100
"""Elements of one path (lt: 100)."""

MAX_PATH_ELEMENT = 240
"""Bytes of one path element in UTF-8, below every common file system's 255 (lt: 240)."""
