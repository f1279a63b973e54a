"""The booking service's database: tables, migrations, and the transaction that mutations run in."""
