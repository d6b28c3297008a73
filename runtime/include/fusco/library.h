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

enum { FUSCO_MAX_TENSORS = 12, FUSCO_MAX_PROGRAMS = 8, FUSCO_NAME_BYTES = 64 };

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
  int32_t ndim;     /**< 1 or 2 */
  int64_t shape[2]; /**< -1: known at run time (only shape[0]) */
} fusco_tensor_spec;

/** How the runtime checks a tensor's dynamic first dimension. */
typedef enum fusco_rows_kind {
  FUSCO_ROWS_STATIC = 0, /**< shape[0] is exact */
  FUSCO_ROWS_TOKENS = 1, /**< equal for all such tensors of a call,
                              <= maxTokens */
  FUSCO_ROWS_EXPERT = 2  /**< room for expert-major rows; the program checks
                              that they fit */
} fusco_rows_kind;

/** One program: the code behind one entry point. */
typedef struct fusco_program_info {
  char name[FUSCO_NAME_BYTES]; /**< the module's function, e.g. "dispatch" */
  int32_t writesPlan;          /**< 1: fills the plan; 0: needs a filled one */
  int32_t numTensors;
  fusco_tensor_spec tensors[FUSCO_MAX_TENSORS];
} fusco_program_info;

/** All that is known about a model at compile time. */
typedef struct fusco_library_info {
  uint64_t magic;      /**< FUSCO_LIBRARY_MAGIC; first, so that it can be read
                            from any version */
  uint32_t abiVersion; /**< FUSCO_ABI_VERSION; second */
  uint32_t size;       /**< sizeof(fusco_library_info) */
  char model[FUSCO_NAME_BYTES];
  char target[FUSCO_NAME_BYTES]; /**< "cpu" */
  int32_t cpuLevel;              /**< fusco_cpu_level */
  int32_t numNodes;
  int32_t ranksPerNode;
  int32_t topk;
  int64_t numExperts;
  int64_t maxTokens; /**< per rank */
  int64_t hidden;    /**< columns of a row */
  int64_t alignRows; /**< expert segments start at multiples of this */
  int64_t scaleOutBytesPerRow; /**< of a dispatched row between nodes; 0 where
                                    it is as wide as elsewhere */
  uint8_t dtypeCode;           /**< of a row's elements on the wire */
  uint8_t dtypeBits;           /**< likewise */
  uint8_t idBits;              /**< 32 or 64 */
  uint8_t isWeighted; /**< combine multiplies by the router's weights */
  int32_t numPrograms;
  uint64_t symmetricBytes; /**< of each rank's heap that peers address */
  uint64_t planBytes;      /**< of each plan */
  uint64_t planStatsBytes; /**< offset of fusco_plan_stats in a plan */
  fusco_program_info programs[FUSCO_MAX_PROGRAMS];
} fusco_library_info;

/** What the plan program leaves in a plan's memory for the host to read. */
typedef struct fusco_plan_stats {
  int64_t tokens, assignments, rowsUniqueRank, rowsUniqueNode;
  int64_t rowsScaleUp, rowsScaleOut, rowsReceived, rowsPadded;
} fusco_plan_stats;

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

struct fusco_library {
  const fusco_library_info *info;
  fusco_program_fn programs[FUSCO_MAX_PROGRAMS];
};

typedef const fusco_library *(*fusco_library_get_fn)(void);

/** Where a program is: what an error names. The order is the order of time. */
typedef enum fusco_phase {
  FUSCO_PHASE_PLAN = 0,    /**< exchange of counts */
  FUSCO_PHASE_ROWS = 1,    /**< dispatch: rows under way */
  FUSCO_PHASE_READY = 2,   /**< combine: expert outputs ready */
  FUSCO_PHASE_COMBINE = 3, /**< combine: rows under way */
  FUSCO_NUM_PHASES = 4
} fusco_phase;

/*===--- Runtime entry points that generated code calls -------------------===*/

/** Behind every entry point: checks \p tensors against the program's spec, runs
 *  the program on the calling thread and returns its status. A rank whose
 *  arguments are refused still takes part, so that its peers learn of it at
 *  once. \p stream must be NULL on the target "cpu". */
FUSCO_API fusco_status fusco_program_run(
    const fusco_library *library, int32_t program, fusco_context *context,
    fusco_plan *plan, const DLTensor *const *tensors, void *stream);

/** Waits until *counter >= expected (acquire), bounded by the context's
 *  timeout. On expiry records rank, peer, phase, expected and actual. Returns a
 *  fusco_status. Generated code calls it only when a first look at the counter
 *  did not suffice. */
FUSCO_API int32_t fusco_program_wait(const fusco_program_args *args,
                                     const uint64_t *counter, uint64_t expected,
                                     int32_t peer, int32_t phase);

/** Writes \p bytes bytes at \p from to the heap of \p peer, \p to bytes from
 * its base (a tensor's window counts from there too, and may be negative), and
 * when they are there adds one to the counter \p counter bytes from that base.
 * Puts may overtake each other. \p from is free again when the call returns.
 * With \p bytes 0 it counts only. Returns a fusco_status. */
FUSCO_API int32_t fusco_program_put(const fusco_program_args *args,
                                    int32_t peer, int64_t to, const void *from,
                                    int64_t bytes, int64_t counter);

/** Records an error that generated code found and returns \p status. What the
 *  three values mean depends on it:
 *   FUSCO_INVALID_ROUTING  a = flat index in ids, b = the id there
 *   FUSCO_CAPACITY         a = rank, b = rows that it needs, c = rows it has
 *   FUSCO_PEER_FAILED      a = rank, b = that rank's fusco_status
 *   any other              this rank's own refused arguments (args->status) */
FUSCO_API int32_t fusco_program_fail(const fusco_program_args *args,
                                     int32_t status, int64_t a, int64_t b,
                                     int64_t c);

#ifdef __cplusplus
}
#endif

#endif /* FUSCO_LIBRARY_H */
