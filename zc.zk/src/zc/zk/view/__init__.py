"""A live view of a tree in the browser: read-only, one page, no library.

`messages` makes what is sent of a tree, `feed` follows the tree while
somebody looks and keeps a mailbox for each viewer, `health` asks the servers,
`server` speaks HTTP. `page.html`, `page.css` and `page.js` are the page.
"""
