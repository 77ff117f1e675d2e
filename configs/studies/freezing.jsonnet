// What does freezing cost? SST-2 with ever less of the encoder trained, in quality, time and memory.
//
//   bertx ablate configs/studies/freezing.jsonnet -s studies/freezing \
//     --ext-var DATA=path/to/data --ext-var ENCODER=google-bert/bert-base-uncased
//
// DATA and ENCODER are those of configs/sst2.jsonnet. With --dry-run it says how long it will take.
{
  base: import "../sst2.jsonnet",
  factors: {
    trained: {
      layers: { "trainer.type_optimization": "all_encoder_layers" },  // all but the embeddings
      top_four: { "trainer.type_optimization": "top4_layers" },
      top_one: { "trainer.type_optimization": "top_layer" },
      head: { "trainer.type_optimization": "additional_layers" },
    },
  },
  seeds: [1, 2, 3, 4, 5],
  metrics: ["accuracy", "loss"],
  primary: "+accuracy",
}
