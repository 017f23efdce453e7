"""What leaves this machine: folders for Kaggle, models for the Hub, tables for others' trainers."""
