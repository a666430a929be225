#!/bin/sh
# The page: what is in the database, and a form that writes to it. The address of the database comes
# from a ConfigMap (REDIS_HOST), its password from a Secret (REDISCLI_AUTH).
MAX_FORM=4096
MAX_KEYS=100

redis() {
  # Nothing of a form becomes a flag: keys and values stand behind the command's name.
  redis-cli -h "${REDIS_HOST:-redis}" --no-auth-warning "$@" 2>&1
}

answer() {
  printf 'Status: %s\r\nContent-Type: %s; charset=utf-8\r\n\r\n' "$1" "$2"
}

# Text from others, so that none of it is markup.
safely() {
  sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g; s/"/\&quot;/g'
}

field() {
  encoded=$(printf '%s' "$form" | tr '&' '\n' | sed -n "s/^$1=//p" | head -n 1 | tr '+' ' ')
  httpd -d "$encoded"
}

unreachable() {
  answer '502 Bad Gateway' text/plain
  echo "the database at ${REDIS_HOST:-redis} does not answer: $1"
  exit 0
}

pong=$(redis ping)
case $REQUEST_METHOD$QUERY_STRING in
  GEThealthz) answer '200 OK' text/plain && echo ok && exit 0 ;;
esac
[ "$pong" = PONG ] || unreachable "$pong"

case $REQUEST_METHOD$QUERY_STRING in
  POST*)
    form=$(head -c "$MAX_FORM")
    key=$(field key)
    [ -z "$key" ] || redis set "$key" "$(field value)" >/dev/null
    printf 'Status: 303 See Other\r\nLocation: /\r\n\r\n'
    ;;
  GETvisit)
    answer '200 OK' text/plain
    redis incr visits
    ;;
  *)
    answer '200 OK' text/html
    title=$(printf '%s' "${TITLE:-Redis}" | safely)
    printf '<!doctype html>\n<title>%s</title>\n<h1>%s</h1>\n' "$title" "$title"
    printf '<form method=post><input name=key placeholder=key> <input name=value placeholder=value>'
    printf '<button>Set</button></form>\n<table>\n'
    redis --scan | head -n "$MAX_KEYS" | sort | while IFS= read -r key; do
      printf '<tr><td>%s<td>%s\n' "$(printf '%s' "$key" | safely)" \
        "$(redis get "$key" | safely)"
    done
    printf '</table>\n<p>%s keys, asked by %s\n' "$(redis dbsize)" "$(hostname)"
    ;;
esac
