// Fine-tunes the tiny encoder of this repository on reviews of films, books, products and places.
//
//   bertx train configs/quickstart.jsonnet -s runs/quickstart
//
// Everything it needs is in the repository; on two CPU cores it takes a minute or two.
local encoder = "../fixtures/bert-tiny";  // a folder, or a hub name such as "google-bert/bert-base-uncased"
local reviews = "../fixtures/reviews/";

{
  dataset_reader: {
    type: "text_classification_json",  // {"text": ..., "label": ...} on every line
    token_indexers: { bert: { type: "bert-pretrained", pretrained_model: encoder, max_pieces: 128 } },
  },
  train_data_path: reviews + "train.jsonl",
  validation_data_path: reviews + "dev.jsonl",
  test_data_path: reviews + "test.jsonl",
  evaluate_on_test: true,
  bag_of_words_baseline: true,  // what counting words reaches, for comparison
  model: {
    type: "bert_for_classification",
    bert_model: encoder,
    dropout: 0.5,  // few examples, many weights
  },
  data_loader: { batch_sampler: { type: "bucket", batch_size: 32 } },
  trainer: {
    num_epochs: 10,
    optimizer: { type: "adamw", lr: 5e-4, weight_decay: 0.01 },
    learning_rate_scheduler: { type: "linear_with_warmup", warmup_steps: 0.1 },
    grad_norm: 1.0,
    validation_metric: "+accuracy",
  },
  random_seed: 1,
}
