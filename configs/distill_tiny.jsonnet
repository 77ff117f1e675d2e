// Trains the tiny encoder further, after pretrain_tiny.jsonnet: its pooled output learns from a sentence encoder.
//
//   bertx train configs/distill_tiny.jsonnet -s runs/distill --ext-var DATA=path/to/data \
//     --ext-var STUDENT=path/to/pretrained --ext-var TEACHER=sentence-transformers/all-MiniLM-L6-v2
//
// DATA is a folder that holds novels.tar.xz; three novels are held out for validation. STUDENT and TEACHER are
// folders or hub names. fixtures/README.md says what came of it.
local novels = std.extVar("DATA") + "/novels.tar.xz";
local held_out = ["Hardy_Tess_1891.txt", "Kipling_Light_1891.txt", "Gissing_Women_1893.txt"];

local reader = {
  type: "plain_text",
  // From a phrase to a paragraph, as in the texts that the encoder will be used for.
  words_per_instance: [3, 5, 8, 12, 16, 24, 40],
  token_indexers: {
    bert: { type: "bert-pretrained", pretrained_model: std.extVar("STUDENT"), max_pieces: 96 },
    teacher: { type: "bert-pretrained", pretrained_model: std.extVar("TEACHER"), max_pieces: 96 },
  },
};

{
  dataset_reader: reader { exclude: held_out },
  validation_dataset_reader: reader { include: held_out },
  train_data_path: novels,
  validation_data_path: novels,
  model: {
    type: "sentence_distillation",
    bert_model: std.extVar("STUDENT"),
    teacher: std.extVar("TEACHER"),
    remember: true,  // a quarter of a million texts of 384 numbers
  },
  data_loader: { batch_sampler: { type: "bucket", batch_size: 128 } },
  trainer: {
    num_epochs: 8,
    precision: "bf16",
    optimizer: { type: "adamw", lr: 1e-3, betas: [0.9, 0.98], weight_decay: 0.01 },
    learning_rate_scheduler: { type: "linear_with_warmup", warmup_steps: 0.02 },
    grad_norm: 1.0,
    validation_metric: "+similarity",
  },
  random_seed: 1,
}
