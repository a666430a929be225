// Counters that all replicas share: wasi:keyvalue over the canonical ABI, without generated code.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../wasi-http-c/wasi-http.h"

#define TEXT "text/plain; charset=utf-8"
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define STORE "wasi:keyvalue/store@0.2.0-draft2"
#define ATOMICS "wasi:keyvalue/atomics@0.2.0-draft2"
#define BATCH "wasi:keyvalue/batch@0.2.0-draft2"
#define MAX_NAME 200

// `error` of wasi:keyvalue/store.
enum { NO_SUCH_STORE, ACCESS_DENIED, OTHER };
typedef struct {
  uint8_t kind;
  http_text words;
} store_error;
// Results, laid out as CanonicalABI.md says: what failed in the first byte, the rest behind it.
typedef struct {
  uint8_t failed;
  union {
    int32_t handle;
    uint8_t truth;
    struct {
      uint8_t some;
      http_text bytes;
    } value;
    struct {
      http_text *items;
      size_t count;
      uint8_t more;
      http_text cursor;
    } keys;
    struct {
      struct {
        uint8_t some;
        http_text key, value;
      } *items;
      size_t count;
    } pairs;
    store_error error;
  };
} result;
typedef struct {
  uint8_t failed;
  union {
    int64_t value;
    store_error error;
  };
} number_result;
typedef struct {
  uint8_t failed;
  _Alignas(4) uint8_t overtaken;
  union {
    int32_t cas;
    store_error error;
  };
} swap_result;

IMPORT(STORE, "open") void store_open(const char *, size_t, result *);
IMPORT(STORE, "[method]bucket.get") void bucket_get(int32_t, const char *, size_t, result *);
IMPORT(STORE, "[method]bucket.set")
void bucket_set(int32_t, const char *, size_t, const char *, size_t, result *);
IMPORT(STORE, "[method]bucket.delete") void bucket_delete(int32_t, const char *, size_t, result *);
IMPORT(STORE, "[method]bucket.exists") void bucket_exists(int32_t, const char *, size_t, result *);
IMPORT(STORE, "[method]bucket.list-keys")
void bucket_keys(int32_t, int32_t, const char *, size_t, result *);
IMPORT(STORE, "[resource-drop]bucket") void bucket_drop(int32_t);
IMPORT(ATOMICS, "increment")
void increment(int32_t, const char *, size_t, int64_t, number_result *);
IMPORT(ATOMICS, "[static]cas.new") void cas_new(int32_t, const char *, size_t, result *);
IMPORT(ATOMICS, "[method]cas.current") void cas_current(int32_t, result *);
IMPORT(ATOMICS, "[resource-drop]cas") void cas_drop(int32_t);
IMPORT(ATOMICS, "swap") void cas_swap(int32_t, const char *, size_t, swap_result *);
IMPORT(BATCH, "get-many") void get_many(int32_t, const http_text *, size_t, result *);
IMPORT(BATCH, "set-many") void set_many(int32_t, const http_text[][2], size_t, result *);
IMPORT(BATCH, "delete-many") void delete_many(int32_t, const http_text *, size_t, result *);

static void answer(int32_t out, int status, const char *text, size_t size) {
  http_respond(out, status, TEXT, text, size, NULL);
}

static void say(int32_t out, int status, const char *text) {
  answer(out, status, text, strlen(text));
}

static void refuse(int32_t out, const store_error *error) {
  static const char *const words[] = {"no such store\n", "access denied\n"};
  if (error->kind < OTHER) say(out, 403, words[error->kind]);
  else answer(out, 503, error->words.data, error->words.size);
}

static void say_number(int32_t out, int64_t value) {
  char text[24];
  snprintf(text, sizeof text, "%" PRId64 "\n", value);
  say(out, 200, text);
}

/** `n` of `?n=12`, or what to do without it. */
static int64_t amount(const char *path, int64_t otherwise) {
  const char *query = strstr(path, "?n=");
  return query == NULL ? otherwise : strtoll(query + 3, NULL, 10);
}

static void count(int32_t bucket, const char *method, const char *path, http_text name,
                  int32_t out) {
  result got;
  if (strcmp(method, "POST") == 0) {
    number_result sum;
    increment(bucket, name.data, name.size, amount(path, 1), &sum);
    if (sum.failed) refuse(out, &sum.error);
    else say_number(out, sum.value);
    return;
  }
  if (strcmp(method, "DELETE") == 0) {
    bucket_delete(bucket, name.data, name.size, &got);
    if (got.failed) refuse(out, &got.error);
    else say(out, 200, "gone\n");
    return;
  }
  bucket_exists(bucket, name.data, name.size, &got);
  if (!got.failed && !got.truth) {
    say(out, 404, "not counted yet\n");
    return;
  }
  if (!got.failed) bucket_get(bucket, name.data, name.size, &got);
  if (got.failed) refuse(out, &got.error);
  else answer(out, 200, got.value.bytes.data, got.value.bytes.size);
}

/** Keeps the largest number ever given, by compare-and-swap: who was overtaken looks again. */
static void best(int32_t bucket, const char *path, http_text name, int32_t out) {
  int64_t given = amount(path, 0);
  char text[24];
  int length = snprintf(text, sizeof text, "%" PRId64, given);
  result got;
  cas_new(bucket, name.data, name.size, &got);
  while (!got.failed) {
    int32_t cas = got.handle;
    cas_current(cas, &got);
    if (got.failed) {
      cas_drop(cas);
      break;
    }
    // The host's text ends in NUL here: see cabi_realloc.
    int64_t known = got.value.some ? strtoll(got.value.bytes.data, NULL, 10) : INT64_MIN;
    if (got.value.some) free(got.value.bytes.data);
    if (known >= given) {
      cas_drop(cas);
      say_number(out, known);
      return;
    }
    swap_result swapped;
    cas_swap(cas, text, (size_t)length, &swapped);
    if (!swapped.failed) {
      say_number(out, given);
      return;
    }
    got.failed = !swapped.overtaken;
    if (got.failed) got.error = swapped.error;
    else got.handle = swapped.cas;
  }
  refuse(out, &got.error);
}

/** Every key with its value, page by page. */
static void all(int32_t bucket, int32_t out) {
  http_text cursor = {NULL, 0};
  http_response response = {-1, -1};
  uint8_t more = 0;
  do {
    result keys, pairs;
    bucket_keys(bucket, more, cursor.data, cursor.size, &keys);
    free(cursor.data);
    if (!keys.failed) get_many(bucket, keys.keys.items, keys.keys.count, &pairs);
    const result *failed = keys.failed ? &keys : pairs.failed ? &pairs : NULL;
    if (failed != NULL) {
      if (response.body < 0) refuse(out, &failed->error);
      else http_end(&response);
      return;
    }
    if (response.body < 0) response = http_begin(out, 200, TEXT, NULL);
    for (size_t index = 0; index < pairs.pairs.count; index++) {
      if (pairs.pairs.items[index].some) {
        http_text key = pairs.pairs.items[index].key, value = pairs.pairs.items[index].value;
        http_write(&response, key.data, key.size);
        http_write(&response, " ", 1);
        http_write(&response, value.data, value.size);
        http_write(&response, "\n", 1);
        free(key.data);
        free(value.data);
      }
      free(keys.keys.items[index].data);
    }
    free(keys.keys.items);
    free(pairs.pairs.items);
    more = keys.keys.more;
    cursor = more ? keys.keys.cursor : (http_text){NULL, 0};
  } while (more);
  http_end(&response);
}

/** Two keys by one call; then takes them away by another. */
static void both(int32_t bucket, const char *method, int32_t out) {
  http_text names[] = {{"both/a", 6}, {"both/b", 6}};
  http_text pairs[][2] = {{names[0], {"1", 1}}, {names[1], {"2", 1}}};
  result done;
  if (strcmp(method, "DELETE") == 0) delete_many(bucket, names, 2, &done);
  else set_many(bucket, pairs, 2, &done);
  if (done.failed) refuse(out, &done.error);
  else say(out, 200, "both\n");
}

/** What stands behind a prefix of the path, up to its query. */
static http_text name_behind(const char *path, const char *prefix) {
  size_t skipped = strlen(prefix);
  if (strncmp(path, prefix, skipped) != 0) return (http_text){NULL, 0};
  size_t size = strcspn(path + skipped, "?");
  return (http_text){(char *)path + skipped, size > MAX_NAME ? 0 : size};
}

void http_handle(http_request *request, int32_t out) {
  const char *path = request->path.data, *method = request->method;
  if (strcmp(path, "/healthz") == 0) {
    say(out, 200, "ok\n");
    return;
  }
  const char *store = getenv("STORE");
  if (store == NULL) store = "counters";
  result opened;
  store_open(store, strlen(store), &opened);
  if (opened.failed) {
    refuse(out, &opened.error);
    return;
  }
  int32_t bucket = opened.handle;
  http_text counter = name_behind(path, "/count/"), record = name_behind(path, "/best/");
  http_text raw = name_behind(path, "/raw/");
  if (counter.size > 0) {
    count(bucket, method, path, counter, out);
  } else if (record.size > 0) {
    best(bucket, path, record, out);
  } else if (raw.size > 0) {
    result done;
    bucket_set(bucket, raw.data, raw.size, method, strlen(method), &done);
    if (done.failed) refuse(out, &done.error);
    else say(out, 200, "set\n");
  } else if (strcmp(path, "/both") == 0) {
    both(bucket, method, out);
  } else if (strcmp(path, "/") == 0) {
    all(bucket, out);
  } else {
    say(out, 404, "there is nothing here\n");
  }
  bucket_drop(bucket);
}
