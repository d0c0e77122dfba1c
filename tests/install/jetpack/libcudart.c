/* CUDA's runtime on memory of the process: what is copied is there at once, streams are nothing, and capturing a graph is
   refused, as CUDA refuses it where a call cannot be captured. -DVERSION=12060 is what runtime and driver say.
   It proves that korsal-edge finds and calls the runtime that the system has, not that a GPU computes anything. */
#include <stdlib.h>
#include <string.h>
#define REFUSED 900 /* cudaErrorStreamCaptureUnsupported */

static char stream_place;

int cudaGetLastError(void) { return 0; }
const char *cudaGetErrorName(int code) {
    return code == 0 ? "cudaSuccess" : code == REFUSED ? "cudaErrorStreamCaptureUnsupported" : "cudaErrorMemoryAllocation";
}
int cudaDriverGetVersion(int *version) { *version = VERSION; return 0; }
int cudaRuntimeGetVersion(int *version) { *version = VERSION; return 0; }
int cudaGetDeviceCount(int *count) { *count = 1; return 0; }
int cudaDeviceGetAttribute(int *value, int attribute, int device) { /* compute capability 8.7 */
    (void)device;
    *value = attribute == 75 ? 8 : attribute == 76 ? 7 : 0;
    return 0;
}
int cudaMalloc(void **address, size_t size) { return (*address = calloc(1, size ? size : 1)) ? 0 : 2; }
int cudaFree(void *address) { free(address); return 0; }
int cudaHostAlloc(void **address, size_t size, unsigned flags) { (void)flags; return cudaMalloc(address, size); }
int cudaFreeHost(void *address) { return cudaFree(address); }
int cudaStreamCreateWithFlags(void **stream, unsigned flags) { (void)flags; *stream = &stream_place; return 0; }
int cudaStreamDestroy(void *stream) { (void)stream; return 0; }
int cudaStreamSynchronize(void *stream) { (void)stream; return 0; }
int cudaStreamBeginCapture(void *stream, int mode) { (void)stream; (void)mode; return REFUSED; }
int cudaStreamEndCapture(void *stream, void **graph) { (void)stream; *graph = NULL; return REFUSED; }
int cudaGraphInstantiateWithFlags(void **executable, void *graph, unsigned long long flags) {
    (void)graph; (void)flags;
    *executable = NULL;
    return REFUSED;
}
int cudaGraphDestroy(void *graph) { (void)graph; return 0; }
int cudaGraphExecDestroy(void *executable) { (void)executable; return 0; }
int cudaGraphLaunch(void *executable, void *stream) { (void)executable; (void)stream; return REFUSED; }
int cudaMemcpyAsync(void *target, const void *source, size_t size, int kind, void *stream) {
    (void)kind; (void)stream;
    memcpy(target, source, size);
    return 0;
}

/* the driver's part, of libcuda.so.1 */
int cuInit(unsigned flags) { (void)flags; return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetName(char *name, int length, int device) {
    (void)device;
    strncpy(name, "Orin", (size_t)length);
    return 0;
}
