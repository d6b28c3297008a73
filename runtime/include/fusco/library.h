/*===- fusco/library.h - contract with generated code -------------*- C -*-===//
 *
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 *===----------------------------------------------------------------------===//
 *
 * \file
 * The one header that codegen and runtime share: what a generated library says
 * about itself, what a program is handed when it runs, and which runtime entry
 * points generated code may call. Plain old data only; C99.
 *
 * A library exports the symbol `fusco_library_get` (type
 * fusco_library_get_fn), so that a tool can open it without knowing its name.
 *
 *===----------------------------------------------------------------------===*/
#ifndef FUSCO_LIBRARY_H
#define FUSCO_LIBRARY_H

#include "fusco/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FUSCO_LIBRARY_MAGIC 0x4f43535546u /* "FUSCO" */

/** Alignment in bytes of every tensor's data, buffer and heap. */
#define FUSCO_ALIGNMENT 64

enum {
  FUSCO_MAX_TENSORS = 12,
  FUSCO_MAX_PROGRAMS = 8,
  FUSCO_MAX_CHANNELS = 24,
  FUSCO_MAX_SPANS = 96,
  FUSCO_MAX_DIMS = 3,
  FUSCO_NAME_BYTES = 64
};

/** DLDataTypeCodes of DLPack 1.1, for headers that are older. A tensor of these
 *  may also be handed over as one of 8-bit unsigned integers. */
enum { FUSCO_DTYPE_FLOAT8_E4M3FN = 10, FUSCO_DTYPE_FLOAT8_E5M2 = 12 };

/** What instructions the code of a library needs. */
typedef enum fusco_cpu_level {
  FUSCO_CPU_AVX2 = 0,  /**< AVX2, FMA, F16C */
  FUSCO_CPU_AVX512 = 1 /**< the above and AVX-512 F, BW, DQ, VL */
} fusco_cpu_level;

/** A tensor parameter of a program. */
typedef struct fusco_tensor_spec {
  char name[FUSCO_NAME_BYTES]; /**< as in the entry point's prototype */
  uint8_t dtypeCode;           /**< DLDataTypeCode */
  uint8_t dtypeBits;
  uint8_t isOutput; /**< 1: the program writes it */
  uint8_t rowsKind; /**< fusco_rows_kind: how the first dimension is bounded */
  uint8_t exposure; /**< fusco_exposure: which other ranks use its memory */
  uint8_t isByColumns;   /**< 1: memory of expert rows by columns; the shape is
                              [columns, rows] or [experts, columns, capacity] */
  int32_t scaledColumns; /**< of scales: elements of a row that share one; 0: it
                              holds no scales */
  int32_t ndim;          /**< from 1 to FUSCO_MAX_DIMS */
  int64_t shape[FUSCO_MAX_DIMS]; /**< -1: known at run time (one at most) */
} fusco_tensor_spec;

/** How the runtime checks a tensor's dynamic dimension. */
typedef enum fusco_rows_kind {
  FUSCO_ROWS_STATIC = 0, /**< the shape is exact */
  FUSCO_ROWS_TOKENS = 1, /**< equal for all such tensors of a call,
                              <= maxTokens */
  FUSCO_ROWS_EXPERT = 2, /**< room for expert-major rows; the program checks
                              that they fit */
  FUSCO_ROWS_SLOTS = 3   /**< the shape, [experts, capacity, columns], is exact;
                              the program checks that rows fit */
} fusco_rows_kind;

/** Who reads or writes a tensor beside its own rank, while a program runs. */
typedef enum fusco_exposure {
  FUSCO_EXPOSURE_NONE = 0,   /**< nobody */
  FUSCO_EXPOSURE_NODE = 1,   /**< ranks of the own node address it */
  FUSCO_EXPOSURE_NETWORK = 2 /**< and ranks of other nodes put to it */
} fusco_exposure;

/** One program: the code behind one entry point. */
typedef struct fusco_program_info {
  char name[FUSCO_NAME_BYTES]; /**< the module's function, e.g. "dispatch" */
  int32_t writesPlan;          /**< 1: fills the plan; 0: needs a filled one */
  int32_t threadsPerBlock;     /**< of the kernel; 0 on a CPU */
  int32_t sharedBytes; /**< dynamic shared memory of each of its blocks */
  int32_t numTensors;
  fusco_tensor_spec tensors[FUSCO_MAX_TENSORS];
} fusco_program_info;

/** Where a program is: what an error names. The order is the order of time. */
typedef enum fusco_phase {
  FUSCO_PHASE_PLAN = 0,    /**< exchange of counts */
  FUSCO_PHASE_ROWS = 1,    /**< dispatch: rows under way */
  FUSCO_PHASE_READY = 2,   /**< combine: expert outputs ready */
  FUSCO_PHASE_COMBINE = 3, /**< combine: rows under way */
  FUSCO_NUM_PHASES = 4
} fusco_phase;

/** A channel, for errors: what a rank waited for. */
typedef struct fusco_channel_info {
  char name[FUSCO_NAME_BYTES]; /**< as in the module */
  int32_t phase;               /**< fusco_phase */
} fusco_channel_info;

/** What a worker does in a span, and what the `value` of its events is. */
typedef enum fusco_span_kind {
  FUSCO_SPAN_CALL = 0,  /**< a call of the program of this name; 0 */
  FUSCO_SPAN_STEP = 1,  /**< a step of a call, and on a GPU a worker's part of
                             one; 0 */
  FUSCO_SPAN_STAGE = 2, /**< a stage of a pipeline; begin: the chunk */
  FUSCO_SPAN_WAIT = 3,  /**< a wait for a slot or a credit of a channel that was
                             not there at the first look; begin: the peer */
  FUSCO_SPAN_PUT = 4 /**< a put on a channel, up to where the program goes on;
                          begin: the peer, end: bytes */
} fusco_span_kind;

/** Something whose begin and end programs note, in a library that was compiled
 *  with a timeline. The spans of a worker nest. */
typedef struct fusco_span_info {
  char name[FUSCO_NAME_BYTES]; /**< of the program, step, stage or channel */
  int32_t kind;                /**< fusco_span_kind */
  int32_t channel;             /**< of a wait or a put; else -1 */
} fusco_span_info;

/** All that is known about a model at compile time. */
typedef struct fusco_library_info {
  uint64_t magic;      /**< FUSCO_LIBRARY_MAGIC; first, so that it can be read
                            from any version */
  uint32_t abiVersion; /**< FUSCO_ABI_VERSION; second */
  uint32_t size;       /**< sizeof(fusco_library_info) */
  char model[FUSCO_NAME_BYTES];
  char target[FUSCO_NAME_BYTES]; /**< "cpu", "sm_90" */
  int32_t cpuLevel;              /**< fusco_cpu_level, of the target "cpu" */
  int32_t maxBlocks; /**< thread blocks that a rank runs at most, each on a
                          multiprocessor of its own; 0 on a CPU */
  int32_t numNodes;
  int32_t ranksPerNode;
  int32_t topk;
  int64_t numExperts;
  int64_t numRedundant; /**< physical experts more than that, with hasTable */
  int64_t maxTokens;    /**< per rank */
  int64_t hidden;       /**< columns of a row */
  int64_t alignRows;    /**< expert segments start at multiples of this */
  int64_t capacityRows; /**< of an expert in expert_slots; 0: expert_major */
  int64_t scaleOutBytesPerRow; /**< of a dispatched row between nodes; 0 where
                                    it is as wide as elsewhere */
  uint8_t dtypeCode;           /**< of a row's elements on the wire */
  uint8_t dtypeBits;           /**< likewise */
  uint8_t idBits;              /**< 32 or 64 */
  uint8_t isWeighted;    /**< combine multiplies by the router's weights */
  uint8_t hasTable;      /**< experts are placed by the tensor "placement" */
  uint8_t isRankMajor;   /**< a row per token and destination rank, rather than
                              per assignment */
  uint8_t dropsOverflow; /**< expert_slots drop what they have no room for,
                              rather than fail */
  uint8_t partialBits;   /**< of an element of combine's partial sums: 32, or of
                              bf16 16; 0 where nothing combines */
  int32_t numPrograms;
  uint64_t symmetricBytes; /**< of each rank's heap that peers address */
  uint64_t networkBytes;   /**< of its start, where all is that ranks of other
                                nodes put to, and that is put from there */
  uint64_t planBytes;      /**< of each plan */
  uint64_t planStatsBytes; /**< offset of fusco_plan_stats in a plan */
  fusco_program_info programs[FUSCO_MAX_PROGRAMS];
  int32_t numChannels;
  fusco_channel_info channels[FUSCO_MAX_CHANNELS];
  int32_t numSpans; /**< 0: it was compiled without a timeline */
  fusco_span_info spans[FUSCO_MAX_SPANS];
} fusco_library_info;

/** What the plan program leaves in a plan's memory for the host to read. */
typedef struct fusco_plan_stats {
  int64_t tokens, assignments, rowsUniqueRank, rowsUniqueNode;
  int64_t rowsScaleUp, rowsScaleOut, rowsReceived, rowsPadded;
  int64_t unitsSent, unitsForwarded, assignmentsDropped;
} fusco_plan_stats;

/** Events of a worker that a timeline has room for. */
enum { FUSCO_TIMELINE_EVENTS = 16384 };

/** What a worker has noted since the host took its events. Later events than
 *  there is room for are only counted. */
typedef struct fusco_timeline {
  uint64_t numEvents;
  uint64_t numDropped;
  fusco_event events[FUSCO_TIMELINE_EVENTS];
} fusco_timeline;

/** A tensor as a program sees it. */
typedef struct fusco_program_tensor {
  void *data;
  int64_t rows; /**< extent of the first dimension */
} fusco_program_tensor;

/** What a program is called with, one rank's view. */
typedef struct fusco_program_args {
  fusco_context *context;
  char *const *peers; /**< [ranks] base of the symmetric heap of each rank of
                           this node, the own one at [rank]; NULL for ranks of
                           other nodes, which only fusco_program_put reaches */
  char *plan;         /**< the plan's memory, planBytes */
  int64_t rank;
  int64_t status; /**< not FUSCO_OK: this rank's arguments were refused; the
                       program tells its peers and returns this status */
  fusco_program_tensor tensors[FUSCO_MAX_TENSORS];
} fusco_program_args;

typedef int32_t (*fusco_program_fn)(const fusco_program_args *args);

/*===--- GPUs -------------------------------------------------------------===*/

/** Bytes behind a plan's planBytes on a GPU; the first word is 1 while the plan
 *  is filled, 0 otherwise. Kernels write and check it: the host cannot know in
 *  time whether a dispatch that it has launched succeeds. */
#define FUSCO_PLAN_TRAILER_BYTES 64

enum { FUSCO_MAX_TEAM_VALUES = 16 };

/** What the thread blocks of a rank tell each other: one per rank in the memory
 *  of its GPU, all zeros at first. A kernel leaves posted, arrived and met as
 * 0. */
typedef struct fusco_device_control {
  uint64_t posted;  /**< teams that the rank's first block has started */
  uint64_t arrived; /**< ends of teams that the other blocks have come to */
  uint64_t met;     /**< blocks that have come to a pipe.meet */
  int64_t team;     /**< the team that was started last, -1: the kernel ends */
  int64_t failed;   /**< fusco_status of the kernel that runs or ran last */
  int64_t values[FUSCO_MAX_TEAM_VALUES]; /**< what that team was handed */
  fusco_timeline *timelines; /**< [blocks]; NULL where the library has no
                                  timeline */
  uint64_t puts;             /**< places taken in the rank's fusco_put_queue
                                  since its context was made */
} fusco_device_control;

/** A put to another node that a kernel asks the host for: as
 *  fusco_program_put, with all places counted from the start of heaps. */
typedef struct fusco_put_request {
  uint64_t number; /**< of the request, from 1 on; written last (release, system
                        scope) */
  int64_t peer;
  int64_t to;
  int64_t from; /**< in the own heap, below networkBytes */
  int64_t bytes;
  int64_t counter;
  int64_t reserved[2];
} fusco_put_request;

enum { FUSCO_PUT_QUEUE_DEPTH = 128 };

/** What the kernels of a rank hand to the host, in host memory that the GPU
 *  writes. Request n has the place (n - 1) % FUSCO_PUT_QUEUE_DEPTH, once the
 *  one before it there is taken. All zeros at first. */
typedef struct fusco_put_queue {
  uint64_t taken; /**< requests that the host is done with reading (release) */
  uint64_t reserved[7];
  fusco_put_request requests[FUSCO_PUT_QUEUE_DEPTH];
} fusco_put_queue;

/** The first error that kernels of a rank found since the host took one: in
 * host memory that the GPU writes. What a call was refused for is not written
 * here: fusco_program_run has returned it. */
typedef struct fusco_device_error {
  int32_t status; /**< fusco_status; written last. 0: none */
  int32_t program;
  int32_t channel, peer; /**< of FUSCO_TIMEOUT, and of FUSCO_PEER_FAILED where
                              `isAborted`; channel -1: before the first */
  int32_t isAborted;     /**< 1: a wait ended since rank `peer` had timed out */
  int32_t reserved;
  int64_t a, b, c; /**< FUSCO_TIMEOUT: a = what the counter is at, b = what was
                        expected; so too where `isAborted`, with c = the rank
                        that was waited for; else as for fusco_program_fail */
} fusco_device_error;

/** The one parameter of a kernel, by value. Pointers in `program` are the
 * GPU's: `peers` names the heaps of all ranks whose memory it sees, `context`
 * is not used. */
typedef struct fusco_device_args {
  fusco_program_args program;
  fusco_device_control *control;
  fusco_device_error *error; /**< as the GPU sees it */
  int64_t *failedRank; /**< of the domain, in GPU memory: 1 + the first rank
                            whose wait expired, 0 while there is none */
  int64_t timeoutNs;   /**< of every wait */
  char *const *networkPeers; /**< [ranks] base of the first networkBytes of each
                                  rank's heap, which may be elsewhere than the
                                  rest; NULL for ranks that only the host
                                  reaches */
  fusco_put_queue *puts; /**< as the GPU sees it; NULL where kernels reach all
                              ranks */
} fusco_device_args;

/** The code of a library's kernels, which are called as their programs are with
 *  '$' for '.'. A kernel runs one rank, all its thread blocks at once. */
typedef struct fusco_device_code {
  const char *ptx;   /**< ends with a 0 */
  const void *cubin; /**< for the target alone; NULL if there is none */
  uint64_t cubinBytes;
} fusco_device_code;

struct fusco_library {
  const fusco_library_info *info;
  const fusco_device_code *device;               /**< NULL on a CPU */
  fusco_program_fn programs[FUSCO_MAX_PROGRAMS]; /**< NULL on a GPU */
};

typedef const fusco_library *(*fusco_library_get_fn)(void);

/*===--- Runtime entry points that generated code calls -------------------===*/

/** Behind every entry point: checks \p tensors against the program's spec, runs
 *  the program on the calling thread and returns its status. A rank whose
 *  arguments are refused still takes part, so that its peers learn of it at
 *  once. \p stream must be NULL on the target "cpu"; on a GPU it is a CUstream,
 *  NULL the context's own, and the call returns when the kernel is launched. */
FUSCO_API fusco_status fusco_program_run(
    const fusco_library *library, int32_t program, fusco_context *context,
    fusco_plan *plan, const DLTensor *const *tensors, void *stream);

/** Waits until *counter >= expected (acquire), bounded by the context's
 *  timeout. On expiry records rank, peer, phase, channel (its index in the
 *  library's description), expected and actual. Returns a fusco_status.
 * Generated code calls it only when a first look at the counter did not
 * suffice. */
FUSCO_API int32_t fusco_program_wait(const fusco_program_args *args,
                                     const uint64_t *counter, uint64_t expected,
                                     int32_t peer, int32_t channel);

/** Starts to write \p bytes bytes at \p from to the heap of \p peer, \p to
 * bytes from its base (a tensor's window counts from there too, and may be
 * negative); when they are there, one is added to the counter \p counter bytes
 * from that base. Puts may overtake each other. What is at \p from must stay:
 * in the own heap until the peer's next word for that slot of the channel (a
 * credit, an answer, a later round) shows that it has arrived, elsewhere until
 * the program ends. With \p bytes 0 it counts only. Returns a fusco_status. */
FUSCO_API int32_t fusco_program_put(const fusco_program_args *args,
                                    int32_t peer, int64_t to, const void *from,
                                    int64_t bytes, int64_t counter);

/** Records an error that generated code found and returns \p status. What the
 *  three values mean depends on it:
 *   FUSCO_INVALID_ROUTING  with c = 0, a = flat index in ids, b = the id there;
 *                          of the placement, with c = 1, entry a is b; c = 2,
 *                          expert a is not there; c = 3, rank a has another
 *   FUSCO_CAPACITY         a = rank, b = rows that it needs, c = rows it has;
 *                          in expert_slots, if all experts had as many as the
 *                          one with the most
 *   FUSCO_PEER_FAILED      a = rank, b = that rank's fusco_status
 *   any other              this rank's own refused arguments (args->status) */
FUSCO_API int32_t fusco_program_fail(const fusco_program_args *args,
                                     int32_t status, int64_t a, int64_t b,
                                     int64_t c);

/** Notes that the calling rank begins (\p isEnd 0) or ends (1) \p span, an
 *  index in the library's description; fusco_span_kind says what \p value is.
 *  Only programs of a library with a timeline call it. Costs a look at
 *  CLOCK_MONOTONIC, some 30 ns. */
FUSCO_API void fusco_program_mark(const fusco_program_args *args, int32_t span,
                                  int32_t isEnd, int64_t value);

#ifdef __cplusplus
}
#endif

#endif /* FUSCO_LIBRARY_H */
