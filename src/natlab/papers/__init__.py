"""The files of `config/papers`: tables, figures and claims, and the measurements that their cells ask for."""
