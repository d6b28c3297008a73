/*===- fusco/runtime.h - C ABI of the fusco runtime ----------------*- C
 *-*-===//
 *
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 *===----------------------------------------------------------------------===//
 *
 * \file
 * What a host program calls: contexts, plans, tensors, errors. C99. Every
 * generated library carries this runtime inside it and exports these names
 * beside its own entry points, whose prototypes stand in the header that
 * `fusco-compile --header` writes.
 *
 * Rules that hold everywhere:
 *  - A call returns a fusco_status. On failure fusco_last_error() holds one
 *line of text; output arguments are left as they were.
 *  - The caller owns what a *_create call gave it and ends it with *_destroy.
 *    All *_destroy calls accept NULL.
 *  - A context belongs to one rank. One thread at a time may use it.
 *  - Nothing waits for longer than the context's timeout.
 *  - On a GPU an entry point launches a kernel on the stream that it is given
 *and returns. Tensors are in the GPU's memory. What goes wrong in the kernel is
 *    returned by fusco_context_synchronize.
 *
 *===----------------------------------------------------------------------===*/
#ifndef FUSCO_RUNTIME_H
#define FUSCO_RUNTIME_H

#include <dlpack/dlpack.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Version of this ABI. A library of another version is refused. */
#define FUSCO_ABI_VERSION 7

#define FUSCO_API __attribute__((visibility("default")))

/** Every call's result. Values never change their meaning. */
typedef enum fusco_status {
  FUSCO_OK = 0,
  FUSCO_INVALID_ARGUMENT = 1, /**< wrong dtype, shape, stride, device, NULL */
  FUSCO_INVALID_ROUTING = 2,  /**< an expert id outside [-1, experts), or a bad
                                   table of placement */
  FUSCO_CAPACITY = 3,         /**< more tokens or rows than there is room for */
  FUSCO_TIMEOUT = 4,          /**< a peer did not arrive before the deadline */
  FUSCO_PEER_FAILED = 5,      /**< another rank reported an error of its own */
  FUSCO_VERSION_MISMATCH = 6, /**< struct or library of another ABI version */
  FUSCO_OUT_OF_MEMORY = 7,
  FUSCO_UNSUPPORTED = 8,  /**< transport, CPU feature or GPU not there */
  FUSCO_BAD_STATE = 9,    /**< the context or domain failed before and must be
                               made anew, or the plan is not filled */
  FUSCO_DEVICE_ERROR = 10 /**< the GPU's driver reported an error */
} fusco_status;

/** The name of a status, e.g. "FUSCO_TIMEOUT"; never NULL. */
FUSCO_API const char *fusco_status_name(fusco_status status);

/** One line about the calling thread's last failed call; "" if none failed.
 *  Valid until the thread's next fusco call. */
FUSCO_API const char *fusco_last_error(void);

/** A compiled model: what `NAME_library()` of the generated header returns. */
typedef struct fusco_library fusco_library;

/** The ranks that shuffle with each other, and the memory that they share: all
 *  in this process, or each in a process of its own. */
typedef struct fusco_domain fusco_domain;

/** One rank's handle. */
typedef struct fusco_context fusco_context;

/** Where each row of one routing goes; filled by dispatch, read by combine. */
typedef struct fusco_plan fusco_plan;

/** How to make a context. Initialise with FUSCO_CONTEXT_CONFIG_INIT. */
typedef struct fusco_context_config {
  uint32_t size;      /**< sizeof(fusco_context_config) */
  uint32_t version;   /**< FUSCO_ABI_VERSION */
  uint64_t timeoutUs; /**< deadline of every wait, in microseconds */
} fusco_context_config;

#define FUSCO_CONTEXT_CONFIG_INIT                                              \
  { sizeof(fusco_context_config), FUSCO_ABI_VERSION, 30000000u }

/** Makes the memory that the ranks of \p library share in this process: one
 *  symmetric heap per rank. The domain must outlive its contexts. All ranks of
 *  a library for GPUs run on the GPU of the calling thread's CUDA context,
 * which the host keeps until the domain ends; without one, on GPU 0. Refuses a
 * GPU that has no room for all of them at once. */
FUSCO_API fusco_status fusco_domain_create(const fusco_library *library,
                                           fusco_domain **domain);

/** Collects \p bytes bytes of each process in rank order into \p all. Returns 0
 *  or, where it failed, anything else. Must not wait for ever. */
typedef int32_t (*fusco_allgather)(const void *mine, void *all, uint64_t bytes,
                                   void *user);

/** How the processes of a job come together. Initialise with
 *  FUSCO_DOMAIN_CONFIG_INIT. */
typedef struct fusco_domain_config {
  uint32_t size;         /**< sizeof(fusco_domain_config) */
  uint32_t version;      /**< FUSCO_ABI_VERSION */
  const char *transport; /**< how a rank reaches others. "ipc": all are on this
                              host; "ucx": those of its node are, others by
                              UCX; "nccl", on GPUs: by loads and stores those
                              whose memory NCCL maps, of its node and of others,
                              and where not all do so, other nodes by UCX */
  uint64_t timeoutUs;    /**< of joining, of exchanges between hosts' calls, and
                              of leaving, in microseconds */
  uint64_t tensorBytes; /**< room for the tensors of a rank, behind its heap; 0:
                             64 GiB on a CPU, where only what is used costs
                             memory, and what the tensors of one call
                             of each program take at worst on a GPU */
  fusco_allgather allgather; /**< NULL: rank, number of ranks and where they
                                  meet come from the environment */
  void *user;                /**< handed to `allgather` */
  int32_t rank, numRanks;    /**< of this process, with `allgather` */
  void *ncclComm; /**< with "nccl": the host's own ncclComm_t of the same ranks,
                       which outlives the domain; NULL: one is made */
} fusco_domain_config;

#define FUSCO_DOMAIN_CONFIG_INIT                                               \
  {                                                                            \
    sizeof(fusco_domain_config), FUSCO_ABI_VERSION, "ipc", 30000000u, 0, NULL, \
        NULL, -1, 0, NULL                                                      \
  }

/** Makes the domain of a job whose ranks are processes, of which this is one;
 *  all of them call it, each once. The environment is that of torchrun, mpirun
 *  or srun (runtime/README.md). Refuses a job whose number of ranks is not the
 *  library's, or whose ranks of one node do not reach each other's memory: on
 *  all ranks, before anything runs. Ranks of a library for GPUs take the GPU of
 *  the calling thread's CUDA context, which the host keeps until the domain
 *  ends; without one the ranks of a host take its GPUs in turn. The process
 * ends or dies like any other; its peers find out at once. \p config may be
 * NULL for the defaults.
 *
 *  fusco_domain_destroy then waits, no longer than the timeout, until all other
 *  ranks have come to that point too: until then they may need this process. */
FUSCO_API fusco_status fusco_domain_join(const fusco_library *library,
                                         const fusco_domain_config *config,
                                         fusco_domain **domain);
FUSCO_API void fusco_domain_destroy(fusco_domain *domain);

/** The only rank of this process in a domain that it has joined; -1 in one that
 *  has all ranks here, and for NULL. */
FUSCO_API int32_t fusco_domain_rank(const fusco_domain *domain);

/** Where the memory of \p domain is: the GPU that its kernels run on, or the
 *  CPU, also for NULL. */
FUSCO_API DLDevice fusco_domain_device(const fusco_domain *domain);

/** For a host's own coordination: collects \p bytes bytes (1 MiB at most) of
 *  each rank of a joined domain in rank order into \p all. Collective; one call
 *  at a time. Fails where a rank has failed, is gone, or does not come in time.
 */
FUSCO_API fusco_status fusco_domain_allgather(fusco_domain *domain,
                                              const void *mine, void *all,
                                              uint64_t bytes);

/** FUSCO_OK while all ranks of \p domain work; else FUSCO_PEER_FAILED, and who
 *  was lost. Costs one load. */
FUSCO_API fusco_status fusco_domain_status(const fusco_domain *domain);

/** Says that this process gives up for a reason of its own: what its peers wait
 *  for in a joined domain ends at once, and they learn \p status. The domain
 * can only be destroyed afterwards. */
FUSCO_API void fusco_domain_abort(fusco_domain *domain, fusco_status status);

/** Makes the context of \p rank, 0 <= rank < nodes * ranks_per_node: in a
 *  domain that this process has joined, that of its rank. Each rank of a domain
 *  has one context at a time. \p config may be NULL for the
 *  defaults. Refuses a library of another ABI version and a CPU that lacks the
 *  instructions that the library was compiled for. */
FUSCO_API fusco_status fusco_context_create(const fusco_library *library,
                                            fusco_domain *domain, int32_t rank,
                                            const fusco_context_config *config,
                                            fusco_context **context);
FUSCO_API void fusco_context_destroy(fusco_context *context);

/** Waits until the programs that \p context has launched on \p stream (a
 *  CUstream; NULL: the context's own) are done, and returns the first error
 *  that any of its programs found since the last call. On a CPU, where entry
 *  points return when they are done, FUSCO_OK at once. */
FUSCO_API fusco_status fusco_context_synchronize(fusco_context *context,
                                                 void *stream);

/** The begin or the end of a span: something that a rank's worker did, such as
 * a stage of a pipeline or a wait. */
typedef struct fusco_event {
  uint64_t timeNs; /**< CLOCK_MONOTONIC of the host, on a GPU %globaltimer */
  int64_t value;   /**< which chunk, peer or bytes, by the span's kind */
  int32_t span;    /**< index of spans in the library's description
                        (fusco/library.h), which says its name and kind */
  int16_t worker;  /**< 0 on a CPU, on a GPU the thread block */
  int16_t isEnd;
} fusco_event;

/** Takes what the programs of \p context have noted since the last time, worker
 *  by worker, each one's events in the order of time. Only a library that was
 *  compiled with a timeline (fusco-compile --timeline) notes anything; of any
 *  other this is FUSCO_UNSUPPORTED. No program of the context may run: on a GPU
 *  fusco_context_synchronize comes first.
 *
 *  \p events has room for \p capacity events; FUSCO_CAPACITY if that is too
 *  little, and then nothing is taken. With \p events NULL it only says how many
 *  there are. \p numDropped (or NULL): events that are missing since a worker
 *  had noted as many as there is room for (FUSCO_TIMELINE_EVENTS); spans may
 *  then lack their end. */
FUSCO_API fusco_status fusco_context_take_events(fusco_context *context,
                                                 fusco_event *events,
                                                 uint64_t capacity,
                                                 uint64_t *numEvents,
                                                 uint64_t *numDropped);

/** The rank of \p context and the number of ranks; -1 and 0 for NULL. */
FUSCO_API int32_t fusco_context_rank(const fusco_context *context);
FUSCO_API int32_t fusco_context_num_ranks(const fusco_context *context);

/** Makes an empty plan of the size that the library's shape needs at worst. */
FUSCO_API fusco_status fusco_plan_create(fusco_context *context,
                                         fusco_plan **plan);
FUSCO_API void fusco_plan_destroy(fusco_plan *plan);

/** What the last dispatch into a plan decided, seen from its rank. Initialise
 *  size and version (FUSCO_PLAN_INFO_INIT). All row counts are of rows of this
 *  rank's tokens, but for rowsReceived and rowsPadded. */
typedef struct fusco_plan_info {
  uint32_t size;
  uint32_t version;
  int64_t tokens;         /**< tokens of this rank */
  int64_t assignments;    /**< (token, k) pairs that have a row (id >= 0);
                               rank-major (token, rank) pairs */
  int64_t rowsUniqueRank; /**< (token, rank) pairs, own rank included */
  int64_t rowsUniqueNode; /**< (token, node other than its own) pairs */
  int64_t rowsScaleUp;    /**< rows that pass between ranks of one node */
  int64_t rowsScaleOut;   /**< rows written to other nodes */
  int64_t rowsReceived;   /**< rows of this rank's experts, pads not counted */
  int64_t rowsPadded;     /**< rows of the expert-major tensor, pads counted */
  int64_t unitsSent; /**< (token, node other than its own) pairs that this rank
                          sends, of its own tokens or dealt to it, and */
  int64_t unitsForwarded; /**< those that it forwards in its node; both 0 where
                               forwarders are `rail`, which count none */
  int64_t assignmentsDropped; /**< that are routed but have no row, since slots
                                   overflow */
} fusco_plan_info;

#define FUSCO_PLAN_INFO_INIT                                                   \
  {                                                                            \
    sizeof(fusco_plan_info), FUSCO_ABI_VERSION, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  \
        0                                                                      \
  }

/** On a GPU the dispatch must be over (fusco_context_synchronize). */
FUSCO_API fusco_status fusco_plan_get_info(const fusco_plan *plan,
                                           fusco_plan_info *info);

/** Allocates a contiguous tensor in the memory of the context's device, 64-byte
 *  aligned, contents zero. Peers may write rows straight into it. The caller
 *  ends it with its `deleter`, before the domain is destroyed. On a GPU either
 *  may wait for all that runs there. */
FUSCO_API fusco_status fusco_tensor_create(fusco_context *context,
                                           DLDataType dtype, int32_t ndim,
                                           const int64_t *shape,
                                           DLManagedTensor **tensor);

/** As fusco_tensor_create, for the parameter \p name of the entry point
 *  \p program ("dispatch", "combine"), with its dtype and shape; \p rows is the
 *  first extent where that is known at run time only. */
FUSCO_API fusco_status fusco_tensor_create_for(fusco_context *context,
                                               const char *program,
                                               const char *name, int64_t rows,
                                               DLManagedTensor **tensor);

/** Copies \p bytes bytes between host memory and the memory of a tensor of the
 *  context's device, and returns when they are there. Waits for what runs on
 * the context's own stream. */
FUSCO_API fusco_status fusco_copy_to_device(fusco_context *context, void *to,
                                            const void *from, uint64_t bytes);
FUSCO_API fusco_status fusco_copy_to_host(fusco_context *context, void *to,
                                          const void *from, uint64_t bytes);

/** Runs \p rankMain on one thread per rank of \p library, each with a context
 * of a fresh domain, waits for all of them and returns the first failure in
 * rank order (its text in fusco_last_error()). FUSCO_PEER_FAILED and
 * FUSCO_TIMEOUT give way to the error that caused them, if a rank has one. */
typedef fusco_status (*fusco_rank_main)(fusco_context *context, void *user);
FUSCO_API fusco_status fusco_launch_threads(const fusco_library *library,
                                            const fusco_context_config *config,
                                            fusco_rank_main rankMain,
                                            void *user);

#ifdef __cplusplus
}
#endif

#endif /* FUSCO_RUNTIME_H */
