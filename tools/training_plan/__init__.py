"""What a recipe trains: plan.yaml (`plan_yaml`), the options of a run (`choice`), both expanded (`trainings`)."""
