// Fine-tunes a pretrained BERT on SST-2: is a phrase from a film review positive or negative?
//
//   bertx train configs/sst2.jsonnet -s runs/sst2 \
//     --ext-var DATA=path/to/data --ext-var ENCODER=google-bert/bert-base-uncased
//
// DATA is a folder that holds sst2/train.jsonl and sst2/dev.jsonl, {"text": ..., "label": ...} per line.
// ENCODER is a folder in Hugging Face layout, or a name on the Hugging Face hub.
//
// In twice the time, an average of weights and adversarial training give about one point of accuracy more:
//
//   -o trainer.validate_every=0.25 -o 'trainer.moving_average={"type": "exponential", "decay": 0.998}' \
//   -o 'trainer.objective={"type": "fgm", "epsilon": 0.5}'
local fine_tuning = import "lib/fine_tuning.libsonnet";
local data = std.extVar("DATA") + "/sst2/";
local encoder = std.extVar("ENCODER");

fine_tuning {
  dataset_reader: {
    type: "text_classification_json",
    token_indexers: { bert: { type: "bert-pretrained", pretrained_model: encoder, max_pieces: 128 } },
  },
  train_data_path: data + "train.jsonl",
  validation_data_path: data + "dev.jsonl",
  model: { type: "bert_for_classification", bert_model: encoder, dropout: 0.1 },
  random_seed: 1,
}
