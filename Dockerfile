# The operator as one static program in an empty image. Time zones are compiled in (time/tzdata), so that calendars need no
# files; the certificates are for outgoing calls to services with public certificates.
FROM golang:1.26-bookworm AS build
WORKDIR /src
# Modules first: they change less often than the code, and a layer of their own keeps them.
COPY go.mod go.sum ./
RUN go mod download
COPY main.go certificates.go logging.go ./
COPY api/ api/
COPY config/crd/ config/crd/
COPY controllers/ controllers/
COPY internal/ internal/
COPY webhooks/ webhooks/
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /signoff .

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /signoff /signoff
# A number, because runAsNonRoot cannot judge a name.
USER 65532:65532
ENTRYPOINT ["/signoff"]
