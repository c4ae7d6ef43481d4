"""What the list of accounts and its model agree on."""

SORTED_FROM = 10  # accounts: from so many on, the list is sorted and can be searched
