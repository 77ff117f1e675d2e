// How the configs of real data sets fine-tune a pretrained encoder.
{
  // Rows that are padded to the same length are shuffled in any case.
  data_loader: { batch_sampler: { type: "bucket", batch_size: 32, padding_noise: 0 } },
  trainer: {
    num_epochs: 3,
    precision: "auto",
    optimizer: { type: "adamw", lr: 5e-5, weight_decay: 0.01 },
    learning_rate_scheduler: { type: "linear_with_warmup", warmup_steps: 0.1 },
    grad_norm: 1.0,
    validation_metric: "+accuracy",
  },
}
