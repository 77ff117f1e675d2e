// How many examples are needed? The same training on growing parts of the reviews, each within the next.
//
//   bertx ablate configs/studies/examples.jsonnet -s studies/examples
//
// Everything it needs is in the repository.
local quickstart = import "../quickstart.jsonnet";

{
  base: quickstart { bag_of_words_baseline: false },
  design: "data_fraction",
  fractions: [0.05, 0.1, 0.2, 0.4, 0.7, 1],
  stratify: "label",
  seeds: [1, 2, 3, 4, 5],
  metrics: ["accuracy", "loss"],
  primary: "+accuracy",
}
