// Fine-tunes a pretrained BERT on SNLI: does a premise entail a hypothesis, contradict it, or neither?
//
//   bertx train configs/snli.jsonnet -s runs/snli \
//     --ext-var DATA=path/to/data --ext-var ENCODER=google-bert/bert-base-uncased
//
// DATA is a folder that holds snli/train.jsonl and snli/dev.jsonl as Stanford publishes them.
// ENCODER is a folder in Hugging Face layout, or a name on the Hugging Face hub.
local fine_tuning = import "lib/fine_tuning.libsonnet";
local data = std.extVar("DATA") + "/snli/";
local encoder = std.extVar("ENCODER");

fine_tuning {
  dataset_reader: {
    type: "snli",
    token_indexers: { bert: { type: "bert-pretrained", pretrained_model: encoder, max_pieces: 128 } },
  },
  train_data_path: data + "train.jsonl",
  validation_data_path: data + "dev.jsonl",
  model: { type: "bert_for_classification", bert_model: encoder, dropout: 0.1 },
  random_seed: 1,
}
