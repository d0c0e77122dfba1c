/* NVIDIA's GStreamer elements by name, as bins over GStreamer's own: a test picture for nvarguscamerasrc, videoconvert,
   videoscale and videoflip for nvvidconv, avdec_h264 for nvv4l2decoder. Frames lie in ordinary memory that is called
   memory:NVMM. It proves that our pipelines can be linked, negotiated and played with such names, properties and caps,
   not how NVIDIA's elements behave: no decoder's state, no buffers of limited number, no speed.

   Of Argus there is one habit, where the variable KORSAL_ARGUS names a folder: a camera has one session, a file in there,
   and a client that dies without releasing it leaves it; the next one gets no image until the service is restarted, which
   removes the files. Two of its sentences are written to stderr. Nothing else of Argus is here. */
#include <fcntl.h>
#include <gst/base/gstbasetransform.h>
#include <gst/gst.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PACKAGE "korsal-stand-ins"
#define NVMM "memory:NVMM"
#define NVMM_FILTER "capsfilter caps=\"video/x-raw(memory:NVMM)\"" /* without quotes the parser takes it for a bin */

/* korsalrelabel: passes buffers on, and lets caps have the feature memory:NVMM or not */
typedef struct { GstBaseTransform parent; } Relabel;
typedef struct { GstBaseTransformClass parent; } RelabelClass;
G_DEFINE_TYPE(Relabel, relabel, GST_TYPE_BASE_TRANSFORM)

static GstCaps *with_feature(GstCaps *caps, const char *feature) {
    GstCaps *made = gst_caps_copy(caps);
    for (guint i = 0; i < gst_caps_get_size(made); i++)
        gst_caps_set_features(made, i, gst_caps_features_new(feature, NULL));
    return made;
}

static GstCaps *relabel_transform_caps(GstBaseTransform *self, GstPadDirection direction, GstCaps *caps, GstCaps *filter) {
    GstCaps *both = gst_caps_merge(with_feature(caps, NVMM), with_feature(caps, GST_CAPS_FEATURE_MEMORY_SYSTEM_MEMORY));
    if (filter) {
        GstCaps *fitting = gst_caps_intersect_full(both, filter, GST_CAPS_INTERSECT_FIRST);
        gst_caps_unref(both);
        return fitting;
    }
    return both;
}

static gboolean relabel_query(GstBaseTransform *self, GstPadDirection direction, GstQuery *query) {
    if (GST_QUERY_TYPE(query) == GST_QUERY_ALLOCATION)
        return FALSE; /* neither side may ask the other for its memory */
    return GST_BASE_TRANSFORM_CLASS(relabel_parent_class)->query(self, direction, query);
}

static void relabel_class_init(RelabelClass *klass) {
    static GstStaticPadTemplate sink = GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
    static GstStaticPadTemplate src = GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
    gst_element_class_add_static_pad_template(GST_ELEMENT_CLASS(klass), &sink);
    gst_element_class_add_static_pad_template(GST_ELEMENT_CLASS(klass), &src);
    gst_element_class_set_static_metadata(GST_ELEMENT_CLASS(klass), "relabel", "Generic", "Changes caps alone", PACKAGE);
    GST_BASE_TRANSFORM_CLASS(klass)->transform_caps = relabel_transform_caps;
    GST_BASE_TRANSFORM_CLASS(klass)->query = relabel_query;
}
static void relabel_init(Relabel *self) { gst_base_transform_set_passthrough(GST_BASE_TRANSFORM(self), TRUE); }

/* the bins */
typedef struct {
    const char *name, *kind, *inside, *sink_caps, *src_caps;
    const char *properties[4]; /* integers, with ? behind the name booleans; nothing but flip-method is heeded */
} Spec;
static const Spec SPECS[] = {
    {"nvarguscamerasrc", "Source/Video",
     "videotestsrc name=sensor is-live=true pattern=ball foreground-color=0xff808080 background-color=0xffffffff ! video/x-raw, format=NV12 ! korsalrelabel ! " NVMM_FILTER,
     NULL, "video/x-raw(memory:NVMM)", {"sensor-id", "sensor-mode", NULL}},
    {"nvvidconv", "Filter/Converter/Video/Scaler",
     "korsalrelabel ! videoconvert ! videoscale ! videoflip name=flip ! videoconvert ! korsalrelabel",
     "video/x-raw(memory:NVMM); video/x-raw", "video/x-raw(memory:NVMM); video/x-raw", {"flip-method", "interpolation-method", NULL}},
    {"nvv4l2decoder", "Codec/Decoder/Video/Hardware",
     "avdec_h264 ! videoconvert ! video/x-raw, format=NV12 ! korsalrelabel ! " NVMM_FILTER,
     "video/x-h264, stream-format=byte-stream, alignment={au, nal}", "video/x-raw(memory:NVMM)",
     {"enable-max-performance?", "disable-dpb?", NULL}},
};
static const int FLIP_METHODS[] = {0, 3, 2, 1, 4, 7, 5, 6}; /* of nvvidconv, as videoflip numbers them */

typedef struct { GstBin parent; int values[4]; } Bin;
typedef struct { GstBinClass parent; const Spec *spec; } BinClass;

static void bin_set(GObject *object, guint id, const GValue *value, GParamSpec *pspec) {
    int number = G_VALUE_HOLDS_INT(value) ? g_value_get_int(value) : g_value_get_boolean(value);
    ((Bin *)object)->values[id - 1] = number;
    if (g_str_equal(pspec->name, "flip-method")) {
        GstElement *inner = gst_bin_get_by_name(GST_BIN(object), "flip");
        g_object_set(inner, "method", FLIP_METHODS[number & 7], NULL);
        gst_object_unref(inner);
    }
}
static void bin_get(GObject *object, guint id, GValue *value, GParamSpec *pspec) {
    int number = ((Bin *)object)->values[id - 1];
    if (G_VALUE_HOLDS_INT(value)) g_value_set_int(value, number);
    else g_value_set_boolean(value, number);
}
static GParamSpec *property(const char *text) {
    GParamSpec *made;
    char *name = g_strndup(text, strcspn(text, "?"));
    if (strchr(text, '?')) made = g_param_spec_boolean(name, NULL, NULL, FALSE, G_PARAM_READWRITE);
    else made = g_param_spec_int(name, NULL, NULL, 0, 100, 0, G_PARAM_READWRITE);
    g_free(name);
    return made;
}
static void add_template(GstElementClass *klass, const char *name, GstPadDirection direction, const char *text) {
    GstCaps *caps = gst_caps_from_string(text);
    gst_element_class_add_pad_template(klass, gst_pad_template_new(name, direction, GST_PAD_ALWAYS, caps));
    gst_caps_unref(caps);
}

/* the session of Argus */
static char *session_path(GstElement *camera) { /* NULL without KORSAL_ARGUS */
    const char *folder = g_getenv("KORSAL_ARGUS");
    return folder ? g_strdup_printf("%s/session-%d", folder, ((Bin *)camera)->values[0]) : NULL;
}
static void begin_session(GstElement *camera) {
    char *path = session_path(camera);
    int file = path ? open(path, O_CREAT | O_EXCL | O_WRONLY, 0600) : -1;
    if (file >= 0) {
        dprintf(file, "%d\n", getpid());
        close(file);
    } else if (path) { /* as NVIDIA's: a sentence, and a stream that ends without an image */
        GstElement *sensor = gst_bin_get_by_name(GST_BIN(camera), "sensor");
        fprintf(stderr, "Error generated. gstnvarguscamerasrc.cpp, execute:751 Failed to create CaptureSession\n");
        g_object_set(sensor, "num-buffers", 0, NULL);
        gst_object_unref(sensor);
    }
    g_free(path);
}
static void end_session(GstElement *camera) { /* its own alone */
    char *path = session_path(camera), *owner = NULL;
    if (path && g_file_get_contents(path, &owner, NULL, NULL) && atoi(owner) == getpid()) unlink(path);
    g_free(owner);
    g_free(path);
}
static GstStateChangeReturn camera_change_state(GstElement *camera, GstStateChange change) {
    if (change == GST_STATE_CHANGE_READY_TO_PAUSED) begin_session(camera);
    GstElementClass *parent = g_type_class_peek(GST_TYPE_BIN);
    GstStateChangeReturn done = parent->change_state(camera, change);
    if (change == GST_STATE_CHANGE_PAUSED_TO_READY) end_session(camera);
    return done;
}

static void bin_class_init(gpointer klass, gpointer data) {
    const Spec *spec = ((BinClass *)klass)->spec = data;
    gst_element_class_set_metadata(klass, spec->name, spec->kind, "Stands in for NVIDIA's", PACKAGE);
    if (spec->sink_caps) add_template(klass, "sink", GST_PAD_SINK, spec->sink_caps);
    add_template(klass, "src", GST_PAD_SRC, spec->src_caps);
    if (!spec->sink_caps) GST_ELEMENT_CLASS(klass)->change_state = camera_change_state;
    G_OBJECT_CLASS(klass)->set_property = bin_set;
    G_OBJECT_CLASS(klass)->get_property = bin_get;
    for (guint i = 0; spec->properties[i]; i++)
        g_object_class_install_property(G_OBJECT_CLASS(klass), i + 1, property(spec->properties[i]));
}
static void bin_init(GTypeInstance *instance, gpointer klass) {
    const Spec *spec = ((BinClass *)klass)->spec;
    GstElement *inside = gst_parse_bin_from_description(spec->inside, TRUE, NULL), *self = GST_ELEMENT(instance);
    gst_bin_add(GST_BIN(self), inside);
    for (guint i = 0; i < 2; i++) {
        const char *name = i ? "src" : "sink";
        GstPad *pad = gst_element_get_static_pad(inside, name);
        if (!pad) continue;
        gst_element_add_pad(self, gst_ghost_pad_new(name, pad));
        gst_object_unref(pad);
    }
}

static gboolean plugin_init(GstPlugin *plugin) {
    gboolean done = gst_element_register(plugin, "korsalrelabel", GST_RANK_NONE, relabel_get_type());
    for (guint i = 0; i < G_N_ELEMENTS(SPECS); i++) {
        GTypeInfo info = {sizeof(BinClass), NULL, NULL, bin_class_init, NULL, &SPECS[i], sizeof(Bin), 0, bin_init, NULL};
        char *name = g_strdup_printf("Korsal-%s", SPECS[i].name);
        guint rank = g_str_has_suffix(SPECS[i].name, "decoder") ? GST_RANK_PRIMARY + 1 : GST_RANK_NONE;
        done = gst_element_register(plugin, SPECS[i].name, rank, g_type_register_static(GST_TYPE_BIN, name, &info, 0)) && done;
        g_free(name);
    }
    return done;
}
GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, korsalstandins, "NVIDIA's elements by name", plugin_init, "1.0",
                  "Proprietary", PACKAGE, "https://example.org")
