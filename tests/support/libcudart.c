/* A CUDA runtime without a GPU, for edge/engines/cuda_library.py: it has the signatures of CUDA's headers, writes each
   answer through its pointer, and answers with another pattern where an argument arrives changed or in another place.
   -DRUNTIME=12060 -DDRIVER=12060 are the versions it tells; it refuses older drivers as CUDA does. */
#include <stddef.h>
#include <string.h>
#define INVALID 1
#define INSUFFICIENT 35
#define HIGH ((size_t)0x1234500000000000)

static int last = 0;
static int status(int code) { if (code) last = code; return code; }
static int enough(void) { return status(DRIVER < RUNTIME ? INSUFFICIENT : 0); }
static void *handle(size_t number) { return (void *)(HIGH + number); }
static int is(void *given, size_t number) { return status(given == handle(number) ? 0 : INVALID); }

int cudaGetLastError(void) { int code = last; last = 0; return code; }
const char *cudaGetErrorName(int code) {
    return code == 0 ? "cudaSuccess" : code == INVALID ? "cudaErrorInvalidValue"
         : code == INSUFFICIENT ? "cudaErrorInsufficientDriver" : NULL;
}
int cudaDriverGetVersion(int *version) { *version = DRIVER; return 0; }
int cudaRuntimeGetVersion(int *version) { *version = RUNTIME; return 0; }
int cudaGetDeviceCount(int *count) { if (enough()) return INSUFFICIENT; *count = 1; return 0; }
int cudaDeviceGetAttribute(int *value, int attribute, int device) {
    if (device != 0) return status(INVALID);
    *value = attribute == 75 ? 8 : attribute == 76 ? 7 : -1;
    return 0;
}
/* sizes beyond 4 GiB: what passes through an int does not come back */
int cudaMalloc(void **address, size_t size) { *address = handle(size); return 0; }
int cudaFree(void *address) { return is(address, (size_t)5 << 32); }
int cudaHostAlloc(void **address, size_t size, unsigned flags) { *address = handle(size + flags); return 0; }
int cudaFreeHost(void *address) { return is(address, 24); }
int cudaStreamCreateWithFlags(void **stream, unsigned flags) { *stream = handle(100 + flags); return 0; }
int cudaStreamDestroy(void *stream) { return is(stream, 101); }
int cudaStreamSynchronize(void *stream) { return is(stream, 101); }
int cudaStreamBeginCapture(void *stream, int mode) { return mode == 1 ? is(stream, 101) : status(INVALID); }
int cudaStreamEndCapture(void *stream, void **graph) { *graph = handle(200); return is(stream, 101); }
int cudaGraphInstantiateWithFlags(void **executable, void *graph, unsigned long long flags) {
    *executable = handle(300 + flags);
    return is(graph, 200);
}
int cudaGraphDestroy(void *graph) { return is(graph, 200); }
int cudaGraphExecDestroy(void *executable) { return is(executable, 300); }
int cudaGraphLaunch(void *executable, void *stream) { return is(executable, 300) || is(stream, 101); }
int cudaMemcpyAsync(void *target, const void *source, size_t size, int kind, void *stream) {
    if (kind != 1 && kind != 2) return status(INVALID);
    memcpy(target, source, size);
    return is(stream, 101);
}

/* the driver's part, of libcuda.so.1 */
int cuInit(unsigned flags) { return flags ? INVALID : 0; }
int cuDeviceGet(int *device, int index) { *device = 40 + index; return index ? INVALID : 0; }
int cuDeviceGetName(char *name, int length, int device) {
    strncpy(name, device == 40 ? "Orin" : "?", (size_t)length);
    return 0;
}
