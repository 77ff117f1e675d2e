// Pretrains the encoder that this repository ships as fixtures/bert-tiny, from 23 English novels.
//
//   bertx train configs/pretrain_tiny.jsonnet -s runs/pretrain --ext-var DATA=path/to/data
//
// DATA is a folder that holds novels.tar.xz; three novels are held out for validation.
// fixtures/README.md says what came of it.
local tokenizer = "../fixtures/bert-tiny";
local novels = std.extVar("DATA") + "/novels.tar.xz";
local held_out = ["Hardy_Tess_1891.txt", "Kipling_Light_1891.txt", "Gissing_Women_1893.txt"];

local reader = {
  type: "plain_text",
  words_per_instance: 48,
  token_indexers: { bert: { type: "bert-pretrained", pretrained_model: tokenizer, max_pieces: 80 } },
};

{
  dataset_reader: reader { exclude: held_out },
  validation_dataset_reader: reader { include: held_out },
  train_data_path: novels,
  validation_data_path: novels,
  model: {
    type: "masked_language_model",
    bert_model: {
      vocab_size: 8192,
      hidden_size: 256,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      intermediate_size: 1024,
      max_position_embeddings: 128,
      // Little text, seen several times, but far from enough to overfit two layers.
      hidden_dropout_prob: 0.0,
      attention_probs_dropout_prob: 0.0,
    },
  },
  data_loader: {
    batch_sampler: { type: "bucket", batch_size: 32 },
    collator: { type: "masked_language_model", mlm_probability: 0.2, whole_words: false },
  },
  trainer: {
    num_epochs: 10,
    precision: "bf16",
    optimizer: { type: "adamw", lr: 1e-3, betas: [0.9, 0.98], weight_decay: 0.01 },
    learning_rate_scheduler: { type: "linear_with_warmup", warmup_steps: 0.03 },
    grad_norm: 1.0,
    validation_metric: "-loss",
  },
  random_seed: 1,
}
