/* MaxSim on an x86 CPU: similarities are made in registers, a tile of document tokens by query
 * tokens at a time, and folded into each document's maxima at once. None is ever stored.
 *
 * A tile is 8 document tokens by 32 query tokens with AVX-512, 4 by 16 with AVX2. Lanes are query
 * tokens, so each similarity is one chain of fused multiply-adds over the dimensions, first to
 * last: its bits depend on neither the instruction set, nor the threads, nor where a tile begins.
 * Masked tokens are skipped; those in a smaller type are restored a tile at a time, in cache.
 *
 * native.py fills in a `problem` and calls `polyrank_maxsim`, without the interpreter's lock.
 * contract.py says what the answers mean. Python's headers are not needed.
 */

#include <immintrin.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define AVX512 __attribute__((target("avx512f,avx2,fma,f16c")))

enum { TILE = 8, WIDE = 32, NARROW = 16 }; /* document rows; query tokens */
enum { FP32, FP16, BF16, INT8, RESIDUAL };

/* Texts in a matrix: text i is rows bounds[i] to bounds[i + 1], or `length` rows each; or with
 * `picked`, text i is the one of that number. */
typedef struct {
  const int64_t *bounds;
  int64_t length;
  const int64_t *picked;
  const uint8_t *live; /* a byte for each row, not 0 where it counts; NULL: all do */
} texts;

typedef struct {
  int64_t width;       /* d */
  const float *tokens; /* of the queries, (Tq, d) */
  texts queries, documents;
  const char *rows;      /* of the documents */
  int64_t stride, row_bytes; /* from row to row; of a row */
  int64_t kind;              /* what a row is, one of the names above */
  const void *scales;    /* of INT8, or inverse norms of RESIDUAL, (Td,), fp32 or fp16 */
  const int32_t *codes;  /* of RESIDUAL, (Td,) */
  const void *centroids; /* (K, d), fp32 or fp16 */
  const float *weights;  /* what the bits of one dimension stand for, 16 numbers at least */
  int64_t bits, half_scales, half_centroids, centroid_count;
  int64_t columns;   /* N */
  int64_t own;       /* query q meets documents q · N to q · N + N - 1 alone */
  int64_t zero_rule; /* a masked document token has similarity 0 */
  float *scores;     /* (Q, N) */
  int32_t *winners;  /* (Tq, N), or NULL */
} problem;

/* A document some of whose rows are in the tile or were in one before. */
typedef struct {
  int64_t column, rows; /* rows: met so far */
  float *best;          /* of each query token */
  int32_t *winner;
} document;

typedef struct {
  const problem *p;
  int64_t first_query, last_query, first_token, tokens, padded;
  float *packed; /* the query tokens, transposed, one group after the other */
  float *panel;  /* rows that had to be restored, (TILE, d) */
  float *zeros;  /* (d,) */
  int rows, open, damaged; /* damaged: a code beyond the centroids was met */
  const float *row[TILE];
  int32_t place[TILE]; /* of a row in its document; -1: its win counts for no row */
  int first[TILE];     /* whether it is its document's first */
  document *owner[TILE];
  document documents[TILE + 1];
} scan;

/* The first row of a text, or with `end` 1 the one after its last. */
INLINE int64_t bound(const texts *t, int64_t text, int end) {
  int64_t number = (t->picked ? t->picked[text] : text) + end;
  return t->bounds ? t->bounds[number] : number * t->length;
}

/* --- rows ---------------------------------------------------------------------------------- */

AVX2 static void widen_half(const uint16_t *from, int64_t count, float *to) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(from + i))));
  for (; i < count; i++) to[i] = _cvtsh_ss(from[i]);
}

AVX2 static void widen_bfloat(const uint16_t *from, int64_t count, float *to) {
  for (int64_t i = 0; i < count; i++) {
    uint32_t bits = (uint32_t)from[i] << 16;
    memcpy(to + i, &bits, sizeof bits);
  }
}

AVX2 static void widen_bytes(const int8_t *from, int64_t count, float scale, float *to) {
  for (int64_t i = 0; i < count; i++) to[i] = scale * (float)from[i];
}

AVX2 static float number(const void *numbers, int64_t i, int64_t half) {
  return half ? _cvtsh_ss(((const uint16_t *)numbers)[i]) : ((const float *)numbers)[i];
}

/* The weights of 8 dimensions in `bits` bytes, the first dimension in a byte's upper bits. */
AVX2 INLINE __m256 eight_weights(const uint8_t *bytes, int bits, const float *weights) {
  if (bits == 8) {
    __m256i slot = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)bytes));
    return _mm256_i32gather_ps(weights, slot, 4);
  }
  uint32_t word = 0;
  memcpy(&word, bytes, bits);
  __m256i shift = bits == 1   ? _mm256_setr_epi32(7, 6, 5, 4, 3, 2, 1, 0)
                  : bits == 2 ? _mm256_setr_epi32(6, 4, 2, 0, 14, 12, 10, 8)
                              : _mm256_setr_epi32(4, 0, 12, 8, 20, 16, 28, 24);
  __m256i slot = _mm256_srlv_epi32(_mm256_set1_epi32((int)word), shift);
  slot = _mm256_and_si256(slot, _mm256_set1_epi32((1 << bits) - 1));
  __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(weights), slot);
  if (bits < 4) return low;
  __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(weights + 8), slot);
  return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(slot, 28)));
}

AVX2 INLINE __m256 eight_numbers(const void *numbers, int64_t i, int64_t half) {
  if (!half) return _mm256_loadu_ps((const float *)numbers + i);
  return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)((const uint16_t *)numbers + i)));
}

/* scale · (centroid + what the bytes stand for). `bits` is a constant where this is inlined. */
AVX2 INLINE void add_residual(const problem *p, int64_t row, const uint8_t *bytes, int bits,
                              float *to) {
  int64_t centroid = p->codes[row] * p->width, k = 0;
  float scale = number(p->scales, row, p->half_scales);
  for (; k + 8 <= p->width; k += 8) {
    __m256 weight = eight_weights(bytes + k * bits / 8, bits, p->weights);
    __m256 sum = _mm256_add_ps(eight_numbers(p->centroids, centroid + k, p->half_centroids), weight);
    _mm256_storeu_ps(to + k, _mm256_mul_ps(_mm256_set1_ps(scale), sum));
  }
  for (; k < p->width; k++) {
    int shift = 8 - bits - (int)(k * bits % 8);
    float weight = p->weights[(bytes[k * bits / 8] >> shift) & ((1 << bits) - 1)];
    to[k] = scale * (number(p->centroids, centroid + k, p->half_centroids) + weight);
  }
}

AVX2 static void restore_residual(const problem *p, int64_t row, const uint8_t *bytes, float *to) {
  switch (p->bits) {
    case 1: add_residual(p, row, bytes, 1, to); break;
    case 2: add_residual(p, row, bytes, 2, to); break;
    case 4: add_residual(p, row, bytes, 4, to); break;
    default: add_residual(p, row, bytes, 8, to);
  }
}

/* A row in fp32: where it lies, or restored into `to`. */
static const float *restore(const problem *p, int64_t row, float *to) {
  const void *from = p->rows + row * p->stride;
  if (p->kind == FP32) return from;
  if (p->kind == FP16) {
    widen_half(from, p->width, to);
  } else if (p->kind == BF16) {
    widen_bfloat(from, p->width, to);
  } else if (p->kind == INT8) {
    widen_bytes(from, p->width, number(p->scales, row, p->half_scales), to);
  } else {
    restore_residual(p, row, from, to);
  }
  return to;
}

INLINE void prefetch(const problem *p, int64_t row) {
  const char *from = p->rows + row * p->stride;
  for (int64_t i = 0; i < p->row_bytes; i += 64) __builtin_prefetch(from + i);
}

/* --- tiles --------------------------------------------------------------------------------- */

#define EACH_ROW _Pragma("GCC unroll 8") for (int r = 0; r < rows; r++)
#define EACH_VECTOR _Pragma("GCC unroll 2") for (int v = 0; v < vectors; v++)

/* Similarities of `rows` rows with `vectors` vectors of query tokens, (rows, WIDE) into `to`. query:
 * those tokens, (d, step). `rows` and `vectors` are constants wherever this is inlined. A function
 * for each size of vector: GCC takes apart, through memory, those that the registers do not have. */
#define PRODUCTS(NAME, BYTES)                                                                    \
  typedef float NAME##_vector __attribute__((vector_size(BYTES), aligned(4), may_alias));        \
  INLINE void NAME(const float *const *row, int rows, const float *query, int step, int vectors, \
                   int64_t width, float *to) {                                                   \
    enum { LANES = BYTES / sizeof(float) };                                                      \
    NAME##_vector sum[TILE][2], token[2];                                                        \
    EACH_ROW EACH_VECTOR sum[r][v] = (NAME##_vector){0};                                         \
    for (int64_t k = 0; k < width; k++) {                                                        \
      EACH_VECTOR token[v] = *(const NAME##_vector *)(query + k * step + LANES * v);             \
      EACH_ROW EACH_VECTOR sum[r][v] += row[r][k] * token[v];                                    \
    }                                                                                            \
    EACH_ROW EACH_VECTOR *(NAME##_vector *)(to + r * WIDE + LANES * v) = sum[r][v];              \
  }

PRODUCTS(products_avx2, 32)
PRODUCTS(products_avx512, 64)

/* The same for TILE rows and a group of query tokens, in parts that fit the registers. */
INLINE void tile(const float *const *row, const float *query, int step, int64_t width, float *to,
                 int avx512) {
  if (avx512 && step == WIDE) {
    products_avx512(row, TILE, query, WIDE, 2, width, to);
  } else if (avx512) {
    products_avx512(row, TILE, query, NARROW, 1, width, to);
  } else {
    for (int r = 0; r < TILE; r += 4)
      for (int lane = 0; lane < step; lane += 16)
        products_avx2(row + r, 4, query + lane, step, 2, width, to + r * WIDE + lane);
  }
}

/* Take one row's similarities into the maxima. Of equal ones the first stays; NaN stays NaN. */
INLINE void fold(const float *similarity, int step, int first, int32_t place, float *best,
                 int32_t *winner) {
  if (first) {
    memcpy(best, similarity, step * sizeof(float));
    if (winner)
      for (int i = 0; i < step; i++) winner[i] = place;
  } else if (!winner) {
    for (int i = 0; i < step; i++) {
      int better = (similarity[i] > best[i]) | (similarity[i] != similarity[i]);
      best[i] = better ? similarity[i] : best[i];
    }
  } else {
    for (int i = 0; i < step; i++) {
      int better = (similarity[i] > best[i]) | (similarity[i] != similarity[i]);
      winner[i] = better ? place : winner[i];
      best[i] = better ? similarity[i] : best[i];
    }
  }
}

/* --- documents ----------------------------------------------------------------------------- */

/* The tile's rows with every query token, taken into the maxima of the rows' documents. */
INLINE void multiply(scan *s, int avx512) {
  float similarity[TILE * WIDE] __attribute__((aligned(64)));
  for (int r = s->rows; r < TILE; r++) s->row[r] = s->zeros;
  for (int64_t group = 0; group < s->padded; group += WIDE) {
    int step = s->padded - group < WIDE ? NARROW : WIDE;
    tile(s->row, s->packed + group * s->p->width, step, s->p->width, similarity, avx512);
    for (int r = 0; r < s->rows; r++) {
      document *d = s->owner[r];
      int32_t *winner = d->winner ? d->winner + group : NULL;
      fold(similarity + r * WIDE, step, s->first[r], s->place[r], d->best + group, winner);
    }
  }
}

AVX2 static void multiply_avx2(scan *s) { multiply(s, 0); }
AVX512 static void multiply_avx512(scan *s) { multiply(s, 1); }

/* Write the scores of a document whose rows were all multiplied. */
static void finish(const scan *s, const document *d) {
  const problem *p = s->p;
  for (int64_t q = s->first_query; q < s->last_query; q++) {
    double sum = 0;
    int64_t end = d->rows ? bound(&p->queries, q, 1) : 0;
    for (int64_t t = bound(&p->queries, q, 0); t < end; t++)
      if (!p->queries.live || p->queries.live[t]) sum += d->best[t - s->first_token];
    p->scores[q * p->columns + d->column] = d->rows ? (float)sum : -__builtin_inff();
  }
  for (int64_t t = 0; d->winner && t < s->tokens; t++)
    p->winners[(s->first_token + t) * p->columns + d->column] = d->rows ? d->winner[t] : -1;
}

/* Multiply the tile and finish its documents, but for the last one where more rows may follow. */
static void flush(scan *s, int last_goes_on, int avx512) {
  if (s->rows) (avx512 ? multiply_avx512 : multiply_avx2)(s);
  s->rows = 0;
  int done = s->open - last_goes_on;
  for (int i = 0; i < done; i++) finish(s, &s->documents[i]);
  if (last_goes_on) { /* it moves to the front, each place keeping its memory */
    document front = s->documents[0];
    s->documents[0] = s->documents[done];
    s->documents[done] = front;
  }
  s->open = last_goes_on;
}

/* Some queries against the documents first to last. `offset`: the document of column 0. */
static void score(scan *s, int64_t first, int64_t last, int64_t offset, int avx512) {
  const problem *p = s->p;
  for (int64_t text = first; text < last; text++) {
    if (s->open > TILE) flush(s, 0, avx512);
    document *d = &s->documents[s->open++];
    d->column = text - offset;
    d->rows = 0;
    int64_t start = bound(&p->documents, text, 0), end = bound(&p->documents, text, 1);
    for (int64_t row = start; row < end; row++) {
      int live = !p->documents.live || p->documents.live[row];
      if (live && p->codes && (uint64_t)p->codes[row] >= (uint64_t)p->centroid_count) {
        s->damaged = 1;
        return;
      }
      prefetch(p, row + TILE);
      if (!live && !p->zero_rule) continue;
      if (s->rows == TILE) {
        flush(s, 1, avx512);
        d = &s->documents[0];
      }
      int i = s->rows++;
      s->row[i] = live ? restore(p, row, s->panel + i * p->width) : s->zeros;
      s->place[i] = live ? (int32_t)(row - start) : -1;
      s->first[i] = d->rows++ == 0;
      s->owner[i] = d;
    }
  }
  flush(s, 0, avx512);
}

/* The tokens of some queries, transposed group by group. */
static void take(scan *s, int64_t first, int64_t last) {
  const problem *p = s->p;
  s->first_query = first;
  s->last_query = last;
  s->first_token = bound(&p->queries, first, 0);
  s->tokens = bound(&p->queries, last - 1, 1) - s->first_token;
  s->padded = (s->tokens + NARROW - 1) / NARROW * NARROW;
  for (int64_t group = 0; group < s->padded; group += WIDE) {
    int64_t step = s->padded - group < WIDE ? NARROW : WIDE;
    float *to = s->packed + group * p->width;
    for (int64_t lane = 0; lane < step; lane++) {
      int64_t token = group + lane;
      const float *from = p->tokens + (s->first_token + token) * p->width;
      for (int64_t k = 0; k < p->width; k++) to[k * step + lane] = token < s->tokens ? from[k] : 0;
    }
  }
}

/* 2: AVX-512; 1: AVX2; 0: neither, and nothing below may be called. */
int polyrank_level(void) {
  __builtin_cpu_init();
  int both = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (!both || !__builtin_cpu_supports("f16c")) return 0;
  return __builtin_cpu_supports("avx512f") ? 2 : 1;
}

/* What native.py must agree with: raise it when `problem` or a call changes. */
int polyrank_version(void) { return 3; }

/* Score queries first to last in columns first to last. Returns 0; 1 without memory; 2 where a
 * code is beyond the centroids. */
int polyrank_maxsim(const problem *p, int64_t first_query, int64_t last_query,
                    int64_t first_column, int64_t last_column, int level) {
  int64_t most = 0; /* query tokens taken at once */
  for (int64_t q = first_query; q < last_query; q++) {
    int64_t start = bound(&p->queries, p->own ? q : first_query, 0);
    int64_t tokens = bound(&p->queries, q, 1) - start;
    most = tokens > most ? tokens : most;
  }
  most = (most + NARROW - 1) / NARROW * NARROW;
  int64_t maxima = (TILE + 1) * most;
  float *memory = calloc((most + TILE + 1) * p->width + 2 * maxima + 1, sizeof(float));
  if (!memory) return 1;
  scan s = {.p = p, .packed = memory};
  s.panel = s.packed + most * p->width;
  s.zeros = s.panel + TILE * p->width;
  float *best = s.zeros + p->width;
  int32_t *winner = (int32_t *)(best + maxima);
  for (int i = 0; i <= TILE; i++) {
    s.documents[i].best = best + i * most;
    s.documents[i].winner = p->winners ? winner + i * most : NULL;
  }
  for (int64_t q = first_query; q < last_query && !s.damaged; q = p->own ? q + 1 : last_query) {
    int64_t offset = p->own ? q * p->columns : 0;
    take(&s, q, p->own ? q + 1 : last_query);
    score(&s, offset + first_column, offset + last_column, offset, level == 2);
  }
  free(memory);
  return s.damaged ? 2 : 0;
}

AVX2 static void greatest(const float *row, int64_t count, float *best) {
  for (int64_t i = 0; i < count; i++) {
    int better = (row[i] > best[i]) | (row[i] != row[i]);
    best[i] = better ? row[i] : best[i];
  }
}

/* Scores of texts first to last where a token's similarities are row codes[token] of a table
 * (rows, count), `count` query tokens of one query. Returns as polyrank_maxsim. */
int polyrank_by_table(const float *table, int64_t rows, int64_t count, const int32_t *codes,
                      const texts *t, int64_t first, int64_t last, float *scores) {
  float *best = malloc((count + 1) * sizeof(float));
  if (!best) return 1;
  for (int64_t text = first; text < last; text++) {
    int64_t start = bound(t, text, 0), end = bound(t, text, 1);
    double sum = start < end ? 0 : -__builtin_inf();
    for (int64_t i = 0; i < count; i++) best[i] = -__builtin_inff();
    for (int64_t row = start; row < end; row++) {
      if ((uint64_t)codes[row] >= (uint64_t)rows) {
        free(best);
        return 2;
      }
      greatest(table + codes[row] * count, count, best);
    }
    for (int64_t i = 0; i < count && start < end; i++) sum += best[i];
    scores[text] = (float)sum;
  }
  free(best);
  return 0;
}
