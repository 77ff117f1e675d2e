// What does each part of the recipe give? One is left out at a time: warm-up and decay of the learning rate,
// decay of the weights, batches of similar length, pretrained weights.
//
//   bertx ablate configs/studies/recipe.jsonnet -s studies/recipe
//
// Everything it needs is in the repository: 30 runs, a few minutes on two CPU cores.
local quickstart = import "../quickstart.jsonnet";

{
  base: quickstart { bag_of_words_baseline: false, trainer+: { num_epochs: 3 } },
  design: "leave_one_out",
  factors: {
    warm_up: { "trainer.learning_rate_scheduler.warmup_steps": 0 },
    rate_decay: { "trainer.learning_rate_scheduler": [{ type: "constant_with_warmup", num_warmup_steps: 0.1 }] },
    weight_decay: { "trainer.optimizer.weight_decay": 0 },
    bucketing: { "~data_loader.batch_sampler": true, "data_loader.batch_size": 32 },
    // The sizes of fixtures/bert-tiny, with random weights.
    pretrained_weights: {
      "model.bert_model": [{
        vocab_size: 8192,
        hidden_size: 256,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        intermediate_size: 1024,
        max_position_embeddings: 128,
      }],
    },
  },
  seeds: [1, 2, 3, 4, 5],
  metrics: ["accuracy", "loss"],
  primary: "+accuracy",
}
